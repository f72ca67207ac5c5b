#include "consumer/pull/return_schedule.hpp"

#include <algorithm>
#include <map>

#include "tests/support/catch.hpp"

using homeward::consumer::ReturnSchedule;
using namespace std::chrono_literals;

namespace {

using SteadyClock = std::chrono::steady_clock;

const SteadyClock::time_point kNow{1h};
constexpr auto kBurst = 200ms;

/// How many of so many messages, all returned now, come in the fullest burst.
std::size_t fullest_burst(ReturnSchedule& schedule, std::size_t messages,
                          SteadyClock::time_point now) {
    std::map<std::chrono::milliseconds, std::size_t> bursts;
    for (std::size_t i = 0; i < messages; ++i) ++bursts[schedule.place(1, now)];
    std::size_t fullest = 0;
    for (const auto& [delay, count] : bursts) fullest = std::max(fullest, count);
    return fullest;
}

/// Batches of 16, 100 ms apart; their streams have more. Returns when the last was over.
SteadyClock::time_point finish_busily(ReturnSchedule& schedule, int batches,
                                      SteadyClock::time_point now) {
    for (int i = 0; i < batches; ++i) schedule.finished(16, true, now += 100ms);
    return now;
}

}  // namespace

TEST_CASE("a message that is returned comes again after 1, 2, 4 … s, at most 5 min") {
    ReturnSchedule schedule;
    std::chrono::milliseconds wanted = 1s;
    auto now = kNow;
    for (std::uint64_t deliveries = 1; deliveries <= 20; ++deliveries) {
        const auto delay = schedule.place(deliveries, now);
        CHECK(delay >= wanted);
        CHECK(delay <= wanted + kBurst);
        now += delay;
        wanted = std::min<std::chrono::milliseconds>(wanted * 2, 5min);
    }
}

TEST_CASE("deliveries that reached nobody do not delay a message") {
    ReturnSchedule schedule;
    CHECK(schedule.place(9, kNow) <= 1s + kBurst);
    CHECK(schedule.place(9, kNow + 3s) <= 4s + kBurst);
    CHECK(schedule.place(9, kNow + 4min) > 4min);
    // Nothing was returned for a long time: this has other reasons.
    CHECK(schedule.place(9, kNow + 1h) <= 1s + kBurst);
}

TEST_CASE("however many are returned at once, no burst of them keeps others waiting") {
    ReturnSchedule schedule;
    CHECK(fullest_burst(schedule, 62'500, kNow) <= 100);  // a quarter of 2,000 a second
    // One that was tried less often need not wait behind those that were tried more often.
    ReturnSchedule other;
    other.place(1, kNow);
    const auto later = kNow + 5min;
    for (int i = 0; i < 1'000; ++i) other.place(9, later);
    CHECK(other.place(1, later) <= 1s + kBurst);
}

TEST_CASE("the pace is a quarter of what writers finish while their streams have more") {
    ReturnSchedule schedule;
    const auto now = finish_busily(schedule, 50, kNow);  // 160 a second
    CHECK(fullest_burst(schedule, 1'000, now) == 8);

    SECTION("a stream that has nothing more lets it rise, up to the best that was known") {
        auto later = now;
        for (int i = 0; i < 60; ++i) schedule.finished(1, false, later += 1s);
        CHECK(fullest_burst(schedule, 10'000, later) == 100);
    }
    SECTION("a pause is no measurement") {
        auto later = now;
        for (int i = 0; i < 100; ++i) {
            schedule.finished(1, true, later += 100ms);
            schedule.finished(1, false, later += 100ms);
        }
        CHECK(fullest_burst(schedule, 10'000, later) >= 8);
    }
}

TEST_CASE("what comes again is spread no longer than an hour") {
    ReturnSchedule schedule;
    const auto now = finish_busily(schedule, 50, kNow);
    for (int i = 0; i < 200'000; ++i) REQUIRE(schedule.place(1, now) <= 1h + kBurst);
}
