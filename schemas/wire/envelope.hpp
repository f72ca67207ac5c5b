#pragma once

// Frame version 2: an envelope of a fixed part, typed sections and a body. It can be decoded alone,
// without any frame before it. All integers are little-endian.
//
//   offset size
//        0    4  magic "HWF1"
//        4    1  version            2
//        5    1  class              1 audit, 2 metric
//        6    2  flags              as in version 1
//        8    4  crc32c             of bytes 0 to 7, then of bytes 12 to the end
//       12    4  header_bytes       64 and all sections: a multiple of 8, at most 64 KiB
//       16   16  publisher id
//       32    8  seq_first          from 1; in a count-only frame: the next seq to be given
//       40    4  seq_count          seqs that the frame covers; 0 in a count-only frame
//       44    4  body_bytes         length of what follows the header
//       48    8  accepted           seqs that the origin had accepted when the frame was cut
//       56    8  cut_time_us        publisher's clock, microseconds since 1970-01-01 UTC
//       64       sections
//  header_bytes  body
//
// A section, padded with zeros to a multiple of 8:
//
//        0    2  kind
//        2    2  bit 0: a reader that does not know the kind must not decode the frame
//        4    4  bytes              of its content, without the padding
//        8       content
//
//   kind 1, body       at most one; byte 0: body kind (1: lines of JSON, each ended by '\n';
//                      2: columns, see schemas/columns/layout.hpp), byte 1: codec (1: one zstd
//                      frame), then u16 zero, u32 events, u32 bytes before compression; with
//                      columns also u32 bytes of all values
//   kind 2, tombstones entries of u32 offset from seq_first, u32 count, u8 length, reason;
//                      ascending and disjoint. The events of the body take the other seqs, in order
//   kind 3, types      the definitions that columns use
//   kind 4, key        32 bytes: the origin's Ed25519 public key
//   kind 5, signature  64 bytes, the last section: Ed25519 over the SHA-256 of all other bytes of
//                      the frame but the checksum's
//
// Tombstones never stand in the body: an event of a reserved type is a bad event, nothing more.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "schemas/wire/frame.hpp"

namespace homeward::envelope {

inline constexpr std::uint8_t kVersion = 2;
inline constexpr std::size_t kFixedBytes = 64;
inline constexpr std::size_t kHeaderBytesMax = 64u << 10;
inline constexpr std::size_t kSectionPrefixBytes = 8;
inline constexpr std::size_t kReasonBytesMax = 32;
inline constexpr std::size_t kChecksumOffset = 8;

enum class Section : std::uint16_t {
    body = 1,
    tombstones = 2,
    types = 3,
    key = 4,
    signature = 5,
};
enum class Codec : std::uint8_t { zstd = 1 };

/// Where the parts of a frame are. Views into its bytes.
struct Parts {
    FrameHeader header;  ///< line_count: events of the body; body_bytes: before compression
    std::span<const std::byte> body;
    BodyKind body_kind = BodyKind::json_lines;
    std::uint32_t values_bytes = 0;  ///< of columns
    std::span<const std::byte> tombstones;
    std::span<const std::byte> types;
    std::span<const std::byte> key;
    std::span<const std::byte> signature;
    std::size_t signature_offset = 0;  ///< 0 if the frame is not signed
};

enum class Checksum : bool { verify, trust };

/// Checks everything but the body's compression and the signature. `frame` begins with magic and
/// version 2. `checksum`: trust where it was verified before.
FrameError parse(std::span<const std::byte> frame, Parts& parts,
                 Checksum checksum = Checksum::verify);

/// What parse() has checked, as values. Appends to `tombstones`.
void read_tombstones(std::span<const std::byte> section, std::vector<FrameTombstone>& tombstones);

/// Writes everything in front of the body, with room for key and signature if `is_signed`.
/// Empty if the sections exceed kHeaderBytesMax.
std::vector<std::byte> encode_header(const FrameHeader& header, const FrameContent& content,
                                     bool is_signed);

/// Completes encode_header()'s bytes once the body is compressed.
void set_body_bytes(std::span<std::byte> header, std::uint32_t compressed_bytes);

/// See homeward::claimed_size(). `frame` has at least kFixedBytes.
FrameSize claimed_size(std::span<const std::byte> frame);

/// Where key and signature of a frame from encode_header() go; it must have been `is_signed`.
struct SignatureRoom {
    std::span<std::byte> key;
    std::span<std::byte> signature;
    std::size_t offset;  ///< of the signature
};
SignatureRoom signature_room(std::span<std::byte> frame);

/// Stores the checksum of a frame that is otherwise complete.
void seal(std::span<std::byte> frame);

}  // namespace homeward::envelope
