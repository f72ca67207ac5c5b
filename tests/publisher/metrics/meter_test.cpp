// Meters of a publisher whose server is nowhere: what they refuse, say and limit. What they report
// is judged on the leader, by metric_points_test.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <homeward/metrics.hpp>

#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

class App {
  public:
    App() : publisher(options()) {}

    int lines_with(const std::string& part) {
        const std::lock_guard lock(mutex_);
        int count = 0;
        for (const std::string& line : lines_) count += line.find(part) != std::string::npos;
        return count;
    }

  private:
    PublisherOptions options() {
        PublisherOptions result;
        result.region = "ams";
        result.app = "shop";
        result.nats_urls = {"nats://127.0.0.1:1"};
        result.on_log = [this](std::string_view line) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(line);
        };
        return result;
    }
    std::mutex mutex_;
    std::vector<std::string> lines_;

  public:
    Publisher publisher;  // last: it logs until it ends
};

std::string refusal(Meter& meter, std::string_view name, const Attributes& attributes = {},
                    InstrumentOptions options = {}) {
    try {
        meter.counter(name, attributes, options);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("names, units and attributes that OpenTelemetry does not allow are refused with advice") {
    App app;
    Meter meter(app.publisher);
    for (const char* name : {"", "1st", "_x", "a b", "caf\xc3\xa9", "a\"b", "rate%"}) {
        INFO(name);
        CHECK_THAT(refusal(meter, name), Contains("must begin with a letter"));
    }
    CHECK_THAT(refusal(meter, std::string(256, 'a')), Contains("255"));
    CHECK_THAT(refusal(meter, "a", {}, {.unit = "\xc2\xb5s"}), Contains("ASCII"));
    const std::string long_unit(64, 'u');
    CHECK_THAT(refusal(meter, "a", {}, {.unit = long_unit}), Contains("63"));
    CHECK_THAT(refusal(meter, "a", {{"", "x"}}), Contains("1 to 255 bytes"));
    CHECK_THAT(refusal(meter, "a", {{"k", "x"}, {"k", "y"}}), Contains("duplicate"));
    const std::string long_value(1025, 'v');
    CHECK_THAT(refusal(meter, "a", {{"k", long_value}}), Contains("1024"));
    CHECK(meter.stats().series == 0);

    CHECK(refusal(meter, std::string(255, 'a')).empty());
    CHECK(refusal(meter, "A/b.c-d_9", {{"k", ""}}, {.unit = "{request}"}).empty());
}

TEST_CASE("a name has one kind and one unit, whatever its case") {
    App app;
    Meter meter(app.publisher);
    meter.counter("requests", {}, {.unit = "{request}"});
    CHECK_THAT(refusal(meter, "Requests"), Contains("needs a name of its own"));
    CHECK_THROWS_WITH(meter.histogram("requests", {}, {.unit = "{request}"}),
                      Contains("is a counter"));
    meter.counter("REQUESTS", {}, {.unit = "{request}"});
    CHECK(meter.stats().series == 1);
}

TEST_CASE("the order of attributes makes no other series") {
    App app;
    Meter meter(app.publisher);
    meter.counter("a", {{"x", "1"}, {"y", "2"}});
    meter.counter("a", {{"y", "2"}, {"x", "1"}});
    CHECK(meter.stats().series == 1);
    meter.counter("a", {{"x", "2"}, {"y", "1"}});
    CHECK(meter.stats().series == 2);
}

TEST_CASE("values that cannot be counted are counted as refused, and said once") {
    App app;
    Meter meter(app.publisher);
    Counter counter = meter.counter("c");
    counter.add(-1);
    counter.add(std::numeric_limits<std::uint64_t>::max());
    counter.add(-5);
    Gauge gauge = meter.gauge("g");
    gauge.record(std::nan(""));
    Histogram histogram = meter.histogram("h");
    histogram.record(std::numeric_limits<double>::infinity());
    CHECK(meter.stats().negative == 3);
    CHECK(meter.stats().not_finite == 2);
    for (int i = 0; i < 5; ++i) app.publisher.flush(1s, FlushUntil::logged);
    CHECK(app.lines_with("below zero") == 1);
    CHECK(app.lines_with("NaN") == 1);
}

TEST_CASE("series beyond series_max are folded, and new names measure nothing") {
    App app;
    Meter meter(app.publisher, {.series_max = 3});
    for (int i = 0; i < 10; ++i) {
        meter.counter("c", {{"user", std::to_string(i % 8)}}).add(1);
    }
    Counter other = meter.counter("other");
    other.add(1);
    CHECK(meter.stats().series == 3);
    CHECK(meter.stats().folded_series == 5);
    for (int i = 0; i < 5; ++i) app.publisher.flush(1s, FlushUntil::logged);
    CHECK(app.lines_with("folded") == 1);
    CHECK(app.lines_with("\"other\"") == 1);
}

TEST_CASE("the 200,000th series costs about what the first ones do") {
    // When the list of series was copied for each new one, it cost a hundred times as much.
    App app;
    Meter meter(app.publisher, {.interval = 24h, .series_max = 1'000'000});
    const auto fastest_of = [&](int first) {
        constexpr int kSeries = 1'000;
        constexpr int kRounds = 10;
        auto fastest = std::chrono::steady_clock::duration::max();
        for (int round = 0; round < kRounds; ++round) {
            const auto begin = std::chrono::steady_clock::now();
            for (int i = 0; i < kSeries; ++i) {
                const std::string id = std::to_string(first + round * kSeries + i);
                meter.counter("wide", {{"id", id}}).add(1);
            }
            fastest = std::min(fastest, std::chrono::steady_clock::now() - begin);
        }
        return fastest;
    };
    const auto early = fastest_of(0);
    for (int first = 10'000; first < 200'000; first += 10'000) fastest_of(first);
    CHECK(fastest_of(200'000) < 10 * early);
    CHECK(meter.stats().series == 210'000);
}

TEST_CASE("flush() reports what was counted before it, though no interval has passed") {
    App app;
    Meter meter(app.publisher, {.interval = 1h});
    meter.counter("c").add(3);
    meter.gauge("untouched");
    REQUIRE(app.publisher.flush(10s, FlushUntil::logged).done);
    CHECK(app.publisher.stats().metric.accepted == 1);
    REQUIRE(app.publisher.flush(10s, FlushUntil::logged).done);
    CHECK(app.publisher.stats().metric.accepted == 1);  // nothing has changed
    meter.counter("c").add(1);
    REQUIRE(app.publisher.flush(10s, FlushUntil::logged).done);
    CHECK(app.publisher.stats().metric.accepted == 2);
}

TEST_CASE("changed series are reported every interval") {
    App app;
    Meter meter(app.publisher, {.interval = 20ms});
    Counter counter = meter.counter("c");
    counter.add(1);
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (app.publisher.stats().metric.accepted < 3 &&
           std::chrono::steady_clock::now() < deadline) {
        counter.add(1);
        std::this_thread::sleep_for(5ms);
    }
    CHECK(app.publisher.stats().metric.accepted >= 3);
}

TEST_CASE("after the publisher's close() instruments refuse values") {
    App app;
    Meter meter(app.publisher);
    Counter counter = meter.counter("c");
    counter.add(1);
    CHECK_FALSE(app.publisher.close(200ms).done);  // there is no server
    CHECK(app.publisher.stats().metric.accepted == 1);
    counter.add(1);
    meter.counter("d").add(1);
    CHECK(meter.stats().closed == 2);
    CHECK_THROWS_AS(Meter(app.publisher), std::runtime_error);
}

TEST_CASE("more meters than a thread remembers all count") {
    App app;
    std::vector<std::unique_ptr<Meter>> meters;
    std::vector<Counter> counters;
    for (int i = 0; i < 9; ++i) {
        meters.push_back(std::make_unique<Meter>(app.publisher, MeterOptions{.interval = 1h}));
        counters.push_back(meters.back()->counter("c"));
    }
    for (int round = 0; round < 100; ++round) {
        for (Counter& counter : counters) counter.add(1);
    }
    REQUIRE(app.publisher.flush(10s, FlushUntil::logged).done);
    CHECK(app.publisher.stats().metric.accepted == 9);
}

TEST_CASE("options out of range are refused") {
    App app;
    CHECK_THROWS_AS(Meter(app.publisher, {.interval = 9ms}), std::invalid_argument);
    CHECK_THROWS_AS(Meter(app.publisher, {.series_max = 0}), std::invalid_argument);
    CHECK_THROWS_AS(Meter(app.publisher, {.series_max = 1'000'001}), std::invalid_argument);
}
