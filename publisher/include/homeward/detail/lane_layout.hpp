#pragma once

// One lane: the ring of one thread and one class, a mapped file of its own.
//
//    0       64         128      256     320     2048          4096              4096 + ring_bytes
//    ├───────┼──────────┼────────┼───────┼───────┼───────┼─────┼──────────────────┤
//    │ shape │ producer │ sender │ mark  │ mark  │ shape │     │ ring             │
//    └───────┴──────────┴────────┴───────┴───────┴───────┴─────┴──────────────────┘
//    shape:    magic, version, class, ring_bytes, crc32c of those; twice, since nothing in the
//              ring can be read without it
//    producer: head (bytes ever written), records, drops, refusals
//    sender:   tail (bytes ever released), for the producer to read
//    mark:     what is behind the tail: tail, records, drops_reported, seq_next, crc32c of those;
//              twice, since a wrong tail would send events again
// Whoever reads a lane that a dead process left trusts shape and mark by their checksums, and
// records by theirs; head and records are only hints of how many there should be.
//
// The ring is mapped twice, end to end, so that a record never has to be split. A record begins at
// a multiple of 16 bytes:
//
//    0        4         8                         8 + payload_bytes
//    ├────────┼─────────┼──────────────────────────┼─ … ─┤ next multiple of 16
//    │ length │ crc32c  │ payload (see record.hpp) │ pad │
//    └────────┴─────────┴──────────────────────────┴─────┘
//
// crc32c covers the record's position (bytes ever written before it), its length and its payload,
// so that a whole record of an earlier lap is not taken for a new one. All little-endian.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <homeward/event_class.hpp>

namespace homeward::detail {

inline constexpr std::uint32_t kLaneMagic = 0x314e4c48;  // "HLN1"
inline constexpr std::uint32_t kLaneVersion = 1;
inline constexpr std::size_t kLaneHeaderBytes = 4096;
inline constexpr std::size_t kRecordAlign = 16;
inline constexpr std::size_t kRecordPrefixBytes = 8;

struct LaneShape {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t event_class;
    std::uint32_t ring_bytes;
    std::uint32_t checksum;
};

/// Written by the sender each time it releases.
struct LaneMark {
    std::uint64_t tail;
    std::uint64_t records;         // before the tail
    std::uint64_t drops_reported;  // in a logged frame
    std::uint64_t seq_next;        // of the origin, when the tail was last moved
    std::uint32_t checksum;
    std::uint32_t unused;
};

struct LaneHeader {
    LaneShape shape;

    alignas(64) std::atomic<std::uint64_t> head;
    std::atomic<std::uint64_t> records;   // counted after head: never more than is visible
    std::atomic<std::uint64_t> drops;     // metric: events that found no room
    std::atomic<std::uint64_t> refusals;  // audit: the same

    alignas(64) std::atomic<std::uint64_t> tail;

    alignas(128) LaneMark first_mark;
    alignas(64) LaneMark second_mark;
};
inline constexpr std::size_t kSecondShapeOffset = 2048;
static_assert(offsetof(LaneHeader, head) == 64 && offsetof(LaneHeader, tail) == 128);
static_assert(offsetof(LaneHeader, first_mark) == 256 && offsetof(LaneHeader, second_mark) == 320);
static_assert(sizeof(LaneHeader) <= kSecondShapeOffset);
static_assert(kSecondShapeOffset + sizeof(LaneShape) <= kLaneHeaderBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

constexpr std::size_t record_span(std::size_t payload_bytes) {
    return (kRecordPrefixBytes + payload_bytes + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
}

/// Half the ring, so that one record never waits for the whole ring to drain.
constexpr std::size_t record_bytes_max(std::size_t ring_bytes) {
    constexpr std::size_t kRecordBytesMax = 256u << 10;
    const std::size_t half = ring_bytes / 2 - kRecordPrefixBytes - kRecordAlign;
    return half < kRecordBytesMax ? half : kRecordBytesMax;
}

}  // namespace homeward::detail
