// Method: lines as any process of the machine may send them, made to cost the listener as much time
// and memory as a datagram can.

#include <chrono>

#include <homeward/publisher.hpp>

#include "publisher/tools/emit/statsd_metrics.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

PublisherOptions unconnected() {
    PublisherOptions options;
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.region = "ams";
    options.app = "side";
    options.on_log = [](std::string_view) {};
    return options;
}

/// A listener without its sockets.
struct Listener {
    Publisher publisher{unconnected()};
    StatsdMetrics metrics{publisher, {}, [](std::string_view) {}};

    std::uint64_t refused(StatsdFault fault) const {
        return metrics.tally().refused[static_cast<std::size_t>(fault)];
    }
};

std::string repeated(const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("a datagram whose values count a thousandfold takes its listener's time only so long") {
    Listener listener;
    // 300 KiB, the most that is read, which stand for 150 million values.
    const std::string datagram = "t" + repeated(":1", 150'000) + "|ms|@0.001\nu:1|c";
    const auto began = std::chrono::steady_clock::now();
    listener.metrics.take(datagram);
    const auto took = std::chrono::steady_clock::now() - began;
    CHECK(listener.refused(StatsdFault::rate) == 1);
    // The values up to there count, and the line after it.
    CHECK(listener.metrics.tally().values == 1'000 + 1 + 1);
    CHECK(took < (kIsSanitized ? 5s : 500ms));
    // Each datagram has as much, and what clients send stays far below it.
    listener.metrics.take("t" + repeated(":1", 700) + "|ms|@0.01");
    CHECK(listener.refused(StatsdFault::rate) == 1);
}

TEST_CASE("series with the longest tags that are taken do not fill their listener's memory") {
    Listener listener;
    const std::string value(1'000, 'v');
    const auto line = [&](int tags, int series) {
        std::string text = "requests:1|c|#series:" + std::to_string(series);
        for (int i = 0; i < tags; ++i) text += ",key" + std::to_string(i) + ":" + value;
        return text;
    };
    listener.metrics.take(line(3, 1));
    CHECK(listener.refused(StatsdFault::tags) == 0);
    for (int i = 0; i < 100; ++i) listener.metrics.take(line(60, i));
    CHECK(listener.refused(StatsdFault::tags) == 100);
}
