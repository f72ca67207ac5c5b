// Lanes: a lane file with bits flipped anywhere, ring and header, is read to its end without a
// crash; without damage all that was written comes out. With checksums every record that comes out
// is, to the byte, one that was written; with stamps, which do not cover it, it lies in the ring.

#include <map>
#include <vector>

#include "publisher/buffer/lane.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

constexpr std::size_t kRingBytes = 64u << 10;
/// Few enough to fit the ring without a reader.
constexpr std::size_t kRecordsMax = 40;

void write_records(const LaneMapping& lane, fuzz::Bytes& input,
                   std::vector<std::vector<std::byte>>& written) {
    detail::LaneWriter writer(lane.header(), lane.ring(), false);
    const std::size_t count = input.take<std::uint8_t>() % kRecordsMax;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bytes = input.take<std::uint16_t>() % 1024;
        require(writer.append(
            bytes, [&](std::byte* at) { std::memset(at, static_cast<int>(i + 1), bytes); }));
        written.emplace_back(bytes, static_cast<std::byte>(i + 1));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    // By the last byte, so that the seeds go on as they were.
    const bool is_stamped = size > 0 && data[size - 1] % 2 == 1;
    const LaneMapping whole = LaneMapping::create(
        File::anonymous("lane"), EventClass::audit, kRingBytes, detail::LaneKind::own,
        is_stamped ? detail::LaneChecksum::stamp : detail::LaneChecksum::crc32c);
    std::vector<std::vector<std::byte>> written;
    write_records(whole, input, written);
    const bool is_whole = input.size() == 0;
    const auto* start = reinterpret_cast<const std::byte*>(whole.header());
    std::vector<std::byte> bytes(start, start + detail::kLaneHeaderBytes + kRingBytes);
    fuzz::damage(bytes, input);
    File damaged = File::anonymous("lane");
    require(damaged.write_at(0, bytes) == 0);

    const auto lane = LaneMapping::open(std::move(damaged));
    if (lane == nullptr) {
        require(!is_whole);
        return 0;
    }
    LaneReader reader(*lane);
    std::size_t read = 0;
    for (std::span<const std::byte> payload;;) {
        const LaneReader::Outcome outcome = reader.read(payload);
        if (outcome == LaneReader::Outcome::empty) break;
        if (outcome == LaneReader::Outcome::damaged) continue;
        if (is_stamped && !is_whole) {
            const std::byte* const ring = lane->ring();
            require(payload.data() > ring && payload.data() < ring + kRingBytes &&
                    payload.size() < kRingBytes);
            ++read;
            require(read <= kRingBytes / detail::kRecordAlign);  // each place at most once
            continue;
        }
        require(read < written.size());  // each at most once
        while (read < written.size() && !std::equal(payload.begin(), payload.end(),
                                                    written[read].begin(), written[read].end())) {
            ++read;
        }
        require(read++ < written.size());
    }
    if (is_whole) require(read == written.size());
    return 0;
}
