#pragma once

// The frame log of one class: segment files "log-00000001", … Each is preallocated, written from
// its start, and deleted as a whole when every frame in it has been released. An entry begins at a
// multiple of 8 bytes:
//
//    0        4         8          12     13    16
//    ├────────┼─────────┼──────────┼──────┼─────┼───────────────────────────┐
//    │ magic  │ crc32c  │ body     │ kind │ 0   │ body                      │ pad
//    │ "HWL1" │         │ bytes    │      │     │                           │
//    └────────┴─────────┴──────────┴──────┴─────┴───────────────────────────┘
//
// crc32c covers the segment's number, the entry's offset, bytes 8..15 and the body.
// Kinds:
//   opening  u64 seq: the first that is cut into this segment, so that what is lost in front of
//            the first whole frame, or behind the last one before, can be counted
//   frame    u32 lane_count, u32 0, per lane {u64 lane, u64 tail, u64 records, u64 drops}, then
//            the frame. The frame and the lane tails behind it become true together, or not at all.
//   release  {u64 seq_first, u64 seq_last, u64 segment, u64 offset} of a frame that the stream has
//            acknowledged: its seqs, and where its bytes begin. In logs of version 1 the seqs only;
//            two frames may have the same, if one is a tombstone for the other.
//   replaced the same, of a frame that could not be read back: a tombstone in a later entry reports
//            its seqs
// All integers little-endian.

#include <cstddef>
#include <cstdint>
#include <span>

#include "schemas/wire/frame.hpp"

namespace homeward {

inline constexpr std::uint32_t kLogMagic = 0x314c5748;  // "HWL1"
inline constexpr std::size_t kLogEntryHeaderBytes = 16;
inline constexpr std::size_t kLogEntryAlign = 8;
/// Small enough that an acknowledged backlog frees disk early, large enough to be rarely made.
inline constexpr std::size_t kSegmentBytes = 8u << 20;
/// Where there is no space for such a one.
inline constexpr std::size_t kSmallSegmentBytes = 1u << 20;

enum class LogEntryKind : std::uint8_t { frame = 1, release = 2, opening = 3, replaced = 4 };

struct LaneTail {
    std::uint64_t lane = 0;     ///< the lane's number in its run
    std::uint64_t tail = 0;     ///< everything before it is in a logged frame
    std::uint64_t records = 0;  ///< events before the tail
    std::uint64_t drops = 0;    ///< drops that a logged frame has reported
};
static_assert(sizeof(LaneTail) == 32);

constexpr std::size_t log_entry_span(std::size_t body_bytes) {
    return (kLogEntryHeaderBytes + body_bytes + kLogEntryAlign - 1) / kLogEntryAlign *
           kLogEntryAlign;
}

/// Bounds what a damaged length makes us read: a frame and the tails of very many lanes.
inline constexpr std::size_t kLogEntryBodyBytesMax = 2 * kFrameBytesMax;

/// `from_length`: the entry without magic and checksum.
std::uint32_t log_entry_checksum(std::uint64_t segment, std::uint64_t offset,
                                 std::span<const std::byte> from_length);

}  // namespace homeward
