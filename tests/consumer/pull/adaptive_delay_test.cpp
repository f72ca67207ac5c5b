// Linger and delay through the whole line, publisher to row: what adapts is compared with itself
// under another load, and with the linger that it was given.

#include <homeward/publisher.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr auto kPhase = 6s;

class Line {
  public:
    explicit Line(std::chrono::milliseconds linger) {
        bridge.start_consumer();
        PublisherOptions options;
        options.nats_urls = {bridge.leaf().url()};
        options.region = "ams";
        options.app = "shop";
        options.linger = linger;
        options.frame_bytes = 256u << 10;
        publisher.emplace(options);
    }
    void emit() {
        REQUIRE(publisher->emit_json("audit", EventClass::audit,
                                     R"({"actor":"a","action":"b","resource":"r",)"
                                     R"("outcome":"allowed"})") == EmitResult::accepted);
        ++emitted;
    }
    bool is_there() { return bridge.metric("homeward_rows_total") == emitted; }

    struct Phase {
        double frames;
        double events_per_frame;
    };
    /// Emits at this rate, and waits until all of it is on the leader.
    Phase run(double events_per_second) {
        const double frames = bridge.metric("homeward_messages_total");
        const double before = emitted;
        const auto began = SteadyClock::now();
        for (auto now = began; now < began + kPhase; now = SteadyClock::now()) {
            const double due =
                std::chrono::duration<double>(now - began).count() * events_per_second;
            while (emitted - before < due) emit();
            sleep_ms(5);
        }
        REQUIRE(publisher->flush(20s).done);
        REQUIRE(wait_until(30s, [&] { return is_there(); }));
        Phase phase{bridge.metric("homeward_messages_total") - frames, 0};
        phase.events_per_frame = (emitted - before) / phase.frames;
        return phase;
    }

    Bridge bridge;
    std::optional<Publisher> publisher;
    double emitted = 0;
};

}  // namespace

TEST_CASE("light traffic leaves more often than heavy traffic, whose frames are fuller") {
    Line line(800ms);  // below a second, after which an origin is taken for idle and says its count
    const Line::Phase light = line.run(10);
    const Line::Phase heavy = line.run(1'000);
    INFO("light: " << light.frames << " frames, heavy: " << heavy.frames);
    CHECK(heavy.frames < light.frames);
    CHECK(heavy.events_per_frame > 50 * light.events_per_frame);
}

TEST_CASE("an event after a silence is a row long before the linger and the delay are over") {
    constexpr auto kLinger = 4'000ms;
    Line line(kLinger);
    sleep_ms(2'500);
    const auto began = SteadyClock::now();
    line.emit();
    CHECK(wait_until(10s, [&] { return line.is_there(); }));
    CHECK(SteadyClock::now() - began < kLinger / 2);
    line.publisher->close(5s);
}
