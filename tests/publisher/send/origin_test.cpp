// What one origin cuts from its lanes, without threads and without a server.

#include <homeward/publisher.hpp>

#include "publisher/send/origin.hpp"
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
    for (OutgoingFrame outgoing; origin.take_outgoing(outgoing);) {
        FrameHeader header;
        REQUIRE(FrameDecoder::decode_header(*origin.read(outgoing), header) == FrameError::none);
        CHECK(header.seq_first == seq_next);
        seq_next = header.seq_last() + 1;
    }
    CHECK(seq_next - 1 == kLanes * kDropsOfLane);
}

TEST_CASE(
    "in one pass a busy lane gives several frames, and the next lane has its turn all the same") {
    constexpr int kEvents = 16'000;  // of each lane: two turns, of more than two frames each
    const auto run = Run::create("", identity());
    Origin origin(*run, EventClass::audit, {64u << 10, 16u << 20, 10ms, false});
    std::vector<std::unique_ptr<LaneMapping>> lanes;
    for (std::uint64_t number = 0; number < 2; ++number) {
        lanes.push_back(std::make_unique<LaneMapping>(
            LaneMapping::create(File::anonymous("lane"), EventClass::audit, 1u << 20)));
        detail::LaneWriter writer(lanes.back()->header(), lanes.back()->ring(), false);
        for (int i = 0; i < kEvents; ++i) {
            REQUIRE(writer.append(kRecordHeaderBytes + 2 + 2, [](std::byte* at) {
                at = put_raw(put_raw(at, std::uint32_t{0}), std::int64_t{1});
                put_raw(put_raw(at, std::uint16_t{0}), static_cast<std::uint16_t>('{' | '}' << 8));
            }));
        }
        origin.add_lane(number, lanes.back().get());
    }
    REQUIRE(origin.drain(false) == Origin::Cut::cut);
    int frames = 0;
    for (OutgoingFrame outgoing; origin.take_outgoing(outgoing);) ++frames;
    CHECK(frames >= 4);
    for (const auto& lane : lanes) {
        CHECK(lane->header()->tail > 0);
        CHECK(lane->header()->tail < lane->header()->head);
    }
}
