// A lane's two ends, as a living process has them.

#include <cstring>
#include <random>

#include <homeward/publisher.hpp>

#include "publisher/buffer/lane.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

constexpr std::size_t kRingBytes = 64u << 10;

LaneMapping make_lane() {
    return LaneMapping::create(File::anonymous("lane"), EventClass::audit, kRingBytes);
}

bool append(detail::LaneWriter& writer, std::size_t bytes, int filled_with) {
    return writer.append(bytes, [&](std::byte* at) { std::memset(at, filled_with, bytes); });
}

}  // namespace

TEST_CASE("a lane gives records of every size back as they were written, for many laps") {
    const LaneMapping lane = make_lane();
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader reader(lane);
    std::minstd_rand random(7);
    for (int i = 0; i < 5'000; ++i) {
        const std::size_t bytes = i < 1'200 ? static_cast<std::size_t>(i) : random() % 3'000;
        REQUIRE(append(writer, bytes, i));
        std::span<const std::byte> payload;
        REQUIRE(reader.read(payload) == LaneReader::Outcome::record);
        REQUIRE(payload.size() == bytes);
        for (std::byte byte : payload) REQUIRE(byte == static_cast<std::byte>(i));
        REQUIRE(reader.read(payload) == LaneReader::Outcome::empty);
        reader.release(0, 1);
    }
    CHECK(reader.records_read() == 5'000);
    CHECK(lane.header()->records == 5'000);
}

TEST_CASE("a full lane takes nothing more until its reader has released") {
    const LaneMapping lane = make_lane();
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader reader(lane);
    std::uint64_t taken = 0;
    while (append(writer, 200, 1)) ++taken;
    CHECK(taken == kRingBytes / detail::record_span(200));
    std::span<const std::byte> payload;
    REQUIRE(reader.read(payload) == LaneReader::Outcome::record);
    CHECK_FALSE(append(writer, 200, 2));  // read is not released
    reader.release(0, 1);
    CHECK(append(writer, 200, 2));
}

TEST_CASE("a head that was overwritten holds a lane up only until the next record") {
    const LaneMapping lane = make_lane();
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    LaneReader reader(lane);
    REQUIRE(append(writer, 100, 1));
    std::span<const std::byte> payload;
    for (const std::uint64_t nonsense : {std::uint64_t{1} << 40, std::uint64_t{119}}) {
        lane.header()->head = nonsense;
        CHECK(reader.read(payload) == LaneReader::Outcome::empty);
    }
    REQUIRE(append(writer, 100, 2));
    CHECK(reader.read(payload) == LaneReader::Outcome::record);
    CHECK(reader.read(payload) == LaneReader::Outcome::record);
    CHECK(reader.read(payload) == LaneReader::Outcome::empty);
}
