#pragma once

// A lane: the ring of one thread and one class, or the shared one of a class; a mapped file.
//
//    0     superblock  magic, version, class, ring_bytes, kind, checksum kind, crc32c of those;
//    twice,
//                      since nothing in the ring can be read without it
//    64    producer    head (bytes ever written, or reserved in a shared lane), records, drops,
//                      refusals, begun (shared: records that have a place)
//    128   tail        bytes ever released, for the producers to read
//    192   grant       how many records the run's count already covers (accepted_counts.hpp)
//    256   checkpoint  what is behind the tail: tail, records, drops_reported, seq_next, crc32c of
//                      those; twice, since a wrong tail would send events again
//    320   checkpoint
//    2048  superblock
//    4096  ring        of ring_bytes
// Whoever reads a lane that a dead process left trusts superblock and checkpoint by their
// checksums, and records by theirs; head and records are only hints of how many there should be.
//
// The ring is mapped twice, end to end, so that a record never has to be split. A record begins at
// a multiple of 16 bytes:
//
//    0        4         8                         8 + payload_bytes
//    ├────────┼─────────┼──────────────────────────┼─ … ─┤ next multiple of 16
//    │ length │ check   │ payload (see record.hpp) │ pad │
//    └────────┴─────────┴──────────────────────────┴─────┘
//
// The check covers the record's position (bytes ever written before it), so that a whole record of
// an earlier lap is not taken for a new one. All little-endian. The superblock says which check:
//    crc32c: of position, length and payload. For a lane on a disk, which writes its pages back in
//            any order: after a power cut a record may be half of this lap and half of the last.
//    stamp:  of position and length (record_stamp()). For a lane in memory, whose pages are lost
//            together or not at all. Length and stamp are one store, after the payload's: a process
//            that dies loses no store that it has executed, and x86-64 (or a release store) keeps
//            their order. So what has its stamp is whole, and what was not finished has another's.
//
// A lane of one thread makes its records visible by one store of head. In a shared lane a record
// becomes visible by the one store of its first eight bytes, which are zero until then: the sender
// zeroes what it releases. Records that become visible together there, all or none: all but the
// first have their check inverted, count only right behind a record, and are written before the
// first.
//
// Version 1 has no kind, no checksum kind and no grant: its superblock ends with the crc32c of four
// words, and all its lanes are read like those of one thread.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <homeward/event_class.hpp>

namespace homeward::detail {

inline constexpr std::uint32_t kLaneMagic = 0x314e4c48;  // "HLN1"
inline constexpr std::uint32_t kLaneVersion = 2;
inline constexpr std::uint32_t kLaneVersionMin = 1;
inline constexpr std::size_t kLaneHeaderBytes = 4096;
inline constexpr std::size_t kRecordAlign = 16;
inline constexpr std::size_t kRecordPrefixBytes = 8;

enum class LaneKind : std::uint16_t {
    own = 1,     ///< one thread writes
    shared = 2,  ///< any number do
};
/// How records are checked.
enum class LaneChecksum : std::uint16_t {
    crc32c = 1,  ///< on a disk
    stamp = 2,   ///< in memory
};

struct LaneSuperblock {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t event_class;
    std::uint32_t ring_bytes;
    LaneKind kind;
    LaneChecksum record_checksum;
    std::uint32_t checksum;
};
/// As version 1 wrote it.
struct LaneSuperblockV1 {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t event_class;
    std::uint32_t ring_bytes;
    std::uint32_t checksum;
};

/// Written by the sender each time it releases.
struct LaneCheckpoint {
    std::uint64_t tail;
    std::uint64_t records;         // before the tail
    std::uint64_t drops_reported;  // in a logged frame
    std::uint64_t seq_next;        // of the origin, when the tail was last moved
    std::uint32_t checksum;
    std::uint32_t unused;
};

struct LaneHeader {
    LaneSuperblock superblock;

    alignas(64) std::atomic<std::uint64_t> head;
    std::atomic<std::uint64_t> records;   // counted after head: never more than is visible
    std::atomic<std::uint64_t> drops;     // metric: events that found no room
    std::atomic<std::uint64_t> refusals;  // audit: the same
    std::atomic<std::uint64_t> begun;     // shared: counted before a record is visible

    alignas(64) std::atomic<std::uint64_t> tail;

    /// Records beyond it are counted in the spool by who emits them; the sender raises it for lanes
    /// that are busy, and lowers it for those that no longer are.
    alignas(64) std::atomic<std::uint64_t> granted;

    alignas(64) LaneCheckpoint first_checkpoint;
    alignas(64) LaneCheckpoint second_checkpoint;
};
inline constexpr std::size_t kSecondSuperblockOffset = 2048;
static_assert(offsetof(LaneHeader, head) == 64 && offsetof(LaneHeader, tail) == 128);
static_assert(offsetof(LaneHeader, granted) == 192);
static_assert(offsetof(LaneHeader, first_checkpoint) == 256 &&
              offsetof(LaneHeader, second_checkpoint) == 320);
static_assert(sizeof(LaneHeader) <= kSecondSuperblockOffset);
static_assert(kSecondSuperblockOffset + sizeof(LaneSuperblock) <= kLaneHeaderBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

constexpr std::size_t record_span(std::size_t payload_bytes) {
    return (kRecordPrefixBytes + payload_bytes + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
}

/// The check of a record in memory. Two records of one length have the same only if a multiple of
/// 64 GiB lies between them; no flipped bit of the length keeps it; zeros are no record. Inverted,
/// it is no other record's at the same place of a ring: its lowest bit is that of the place.
constexpr std::uint32_t record_stamp(std::uint64_t position, std::size_t payload_bytes) {
    const auto place = static_cast<std::uint32_t>(position / kRecordAlign) + 1;
    return (place * 0x9e3779b1u) ^ (static_cast<std::uint32_t>(payload_bytes) * 0x85ebca6bu);
}

/// Half the ring, so that one record never waits for the whole ring to drain.
constexpr std::size_t record_bytes_max(std::size_t ring_bytes) {
    constexpr std::size_t kRecordBytesMax = 256u << 10;
    const std::size_t half = ring_bytes / 2 - kRecordPrefixBytes - kRecordAlign;
    return half < kRecordBytesMax ? half : kRecordBytesMax;
}
inline constexpr std::size_t kRingBytesMin = 64u << 10;
inline constexpr std::size_t kRecordBytesInAnyLane = record_bytes_max(kRingBytesMin);

}  // namespace homeward::detail
