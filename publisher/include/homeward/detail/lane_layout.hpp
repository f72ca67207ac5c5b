#pragma once

// One lane: the ring of one thread and one class, a mapped file of its own.
//
//    0        64       128       192            4096              4096 + ring_bytes
//    ├─────────┼─────────┼─────────┼──── … ───────┼──────────────────┤
//    │ fixed   │producer │ sender  │ unused       │ ring             │
//    └─────────┴─────────┴─────────┴──────────────┴──────────────────┘
//    fixed:    magic, version, class, ring_bytes
//    producer: head (bytes ever written), records, drops, refusals
//    sender:   tail (bytes ever released), drops_reported, seq_next
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

struct LaneHeader {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t event_class;
    std::uint32_t ring_bytes;

    alignas(64) std::atomic<std::uint64_t> head;
    std::atomic<std::uint64_t> records;   // counted after head: never more than is visible
    std::atomic<std::uint64_t> drops;     // metric: events that found no room
    std::atomic<std::uint64_t> refusals;  // audit: the same

    alignas(64) std::atomic<std::uint64_t> tail;
    std::atomic<std::uint64_t> drops_reported;  // in a logged frame
    std::atomic<std::uint64_t> seq_next;        // of the origin, when the tail was last moved
};
static_assert(sizeof(LaneHeader) <= kLaneHeaderBytes);
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
