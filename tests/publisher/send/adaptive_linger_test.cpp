// When frames leave, by a clock that only this test moves: a sender that looks every 2 ms, and
// events of one rate. Each case is compared with a linger that does not adapt.

#include "publisher/send/adaptive_linger.hpp"

#include <functional>

#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

using Time = AdaptiveLinger::Time;

constexpr auto kLinger = 10ms;
constexpr auto kLook = 2ms;
constexpr auto kRun = 10s;
constexpr std::size_t kEventBytes = 200;

struct Outcome {
    double wait_ms = 0;  ///< of an event, from its lane to the cut; the mean
    double events_per_frame = 0;
};

using Rule = std::function<bool(Time now, const AdaptiveLinger::Waiting&)>;

bool adapts(Time now, const AdaptiveLinger::Waiting& waiting) {
    return AdaptiveLinger(kLinger).is_due(now, waiting);
}

bool is_fixed(Time now, const AdaptiveLinger::Waiting& waiting) {
    return now - waiting.since >= kLinger;
}

Outcome run(const Rule& is_due, std::chrono::microseconds interval) {
    Time now{1h};
    const Time end = now + kRun;
    Time last_cut{};
    Time since{};
    Time arrival = now;
    double waited_ms = 0;
    int events = 0, frames = 0, gathered = 0;
    double arrived_ms = 0;  // the sum over what was gathered
    const auto ms = [](Time time) {
        return std::chrono::duration<double, std::milli>(time.time_since_epoch() - 1h).count();
    };
    for (; now < end; now += kLook) {
        for (; arrival <= now; arrival += interval) {
            if (gathered++ == 0) since = now;
            arrived_ms += ms(arrival);
        }
        const auto bytes = static_cast<std::size_t>(gathered) * kEventBytes;
        if (gathered == 0 || !is_due(now, {since, last_cut, bytes})) continue;
        waited_ms += gathered * ms(now) - arrived_ms;
        events += gathered;
        ++frames;
        gathered = 0;
        arrived_ms = 0;
        last_cut = now;
    }
    REQUIRE(frames > 0);
    return {waited_ms / events, static_cast<double>(events) / frames};
}

}  // namespace

TEST_CASE("an event after a silence leaves at the sender's next look") {
    const Outcome rare = run(adapts, 100ms);
    CHECK(rare.events_per_frame == 1);
    CHECK(rare.wait_ms <= 2);
    CHECK(run(is_fixed, 100ms).wait_ms >= 10);
}

TEST_CASE("few events that follow each other leave every half linger") {
    const Outcome light = run(adapts, 1ms);
    const Outcome fixed = run(is_fixed, 1ms);
    CHECK(light.wait_ms < 0.7 * fixed.wait_ms);
    CHECK(light.events_per_frame >= 5);
}

TEST_CASE("under load frames are as full as with a linger that does not adapt") {
    const Outcome heavy = run(adapts, 50us);
    const Outcome fixed = run(is_fixed, 50us);
    CHECK(heavy.events_per_frame >= 0.95 * fixed.events_per_frame);
    // The more load, the fuller the frames.
    CHECK(heavy.events_per_frame > 10 * run(adapts, 1ms).events_per_frame);
}

TEST_CASE("no frame waits longer than the whole linger, and few bytes no longer than half of it") {
    const Time now{1h};
    const AdaptiveLinger linger(kLinger);
    constexpr std::size_t kMany = AdaptiveLinger::kFewBytes;
    CHECK(linger.is_due(now, {now - 10ms, now - 10ms, kMany}));
    CHECK_FALSE(linger.is_due(now, {now - 9ms, now - 1h, kMany}));
    CHECK(linger.is_due(now, {now, now - 5ms, kMany - 1}));
    CHECK_FALSE(linger.is_due(now, {now, now - 4ms, kMany - 1}));
}
