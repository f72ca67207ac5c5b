// What one origin cuts from its lanes, without threads and without a server.

#include <homeward/publisher.hpp>

#include "publisher/origin.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace std::chrono_literals;

namespace {

RunIdentity identity() {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = "ams";
    identity.app = "shop";
    return identity;
}

}  // namespace

TEST_CASE("an hour of drops keeps its sequence without gaps, however many there were") {
    constexpr std::uint64_t kDropsOfLane = 3'000'000'000;  // more than half of what 32 bits count
    constexpr std::uint64_t kLanes = 3;
    const auto run = Run::create("", identity());
    Origin origin(*run, EventClass::metric, {64u << 10, 16u << 20, 10ms, false});
    std::vector<std::unique_ptr<LaneMapping>> lanes;
    for (std::uint64_t number = 0; number < kLanes; ++number) {
        lanes.push_back(std::make_unique<LaneMapping>(
            LaneMapping::create(File::anonymous("lane"), EventClass::metric, 64u << 10)));
        detail::LaneWriter writer(lanes.back()->header(), lanes.back()->ring(), false);
        writer.count_drops(kDropsOfLane);
        origin.add_lane(number, lanes.back().get());
    }
    while (origin.drain(true) == Origin::Cut::cut) {
    }
    std::uint64_t seq_next = 1;
    for (Departure departure; origin.take_departure(departure);) {
        FrameHeader header;
        REQUIRE(FrameDecoder::decode_header(origin.read(departure), header) == FrameError::none);
        CHECK(header.seq_first == seq_next);
        seq_next = header.seq_last() + 1;
    }
    CHECK(seq_next - 1 == kLanes * kDropsOfLane);
}
