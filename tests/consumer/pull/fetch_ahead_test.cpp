// How many messages may be fetched ahead follows what the leader commits, and not its pauses.

#include "consumer/pull/fetch_ahead.hpp"

#include "tests/support/catch.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLimit = 100'000;
/// Enough in hand for the rate to tell what the leader can take.
constexpr std::size_t kBusy = 1'024;

TEST_CASE("fetch ahead: as much as the leader commits in 15 seconds") {
    const auto start = FetchAhead::SteadyClock::now();
    FetchAhead ahead(kLimit);
    REQUIRE(ahead.messages_max() == 1'024);
    for (int second = 1; second <= 10; ++second) {
        ahead.finished(200);
        ahead.measure(start + second * 1s, kBusy);
    }
    REQUIRE(ahead.messages_max() > 14 * 200);
    REQUIRE(ahead.messages_max() < 16 * 200);
}

TEST_CASE("fetch ahead: a transaction of several seconds does not shrink it") {
    const auto start = FetchAhead::SteadyClock::now();
    FetchAhead ahead(kLimit);
    // Looked at ten times a second, as the puller does.
    for (int look = 1; look <= 35; ++look) {
        ahead.measure(start + look * 100ms, kBusy);
        REQUIRE(ahead.messages_max() == 1'024);
    }
    ahead.finished(1'000);
    ahead.measure(start + 4s, kBusy);
    REQUIRE(ahead.messages_max() > 3'000);
}

TEST_CASE("fetch ahead: it shrinks while the leader takes nothing, and grows at once") {
    const auto start = FetchAhead::SteadyClock::now();
    FetchAhead ahead(kLimit);
    for (int second = 16; second <= 160; second += 16) ahead.measure(start + second * 1s, kBusy);
    REQUIRE(ahead.messages_max() == 16);
    ahead.finished(500);
    ahead.measure(start + 161s, 16);
    REQUIRE(ahead.messages_max() >= 15 * 500 / 2);
}

}  // namespace
}  // namespace homeward::consumer
