#pragma once

// A frame is a run of consecutive seqs of one origin and one NATS message; immutable, to the byte,
// once cut. All integers little-endian. schemas/README.md gives the same bytes to those who write a
// reader of their own, and golden/ has frames to try it on. Version 2 is in wire/envelope.hpp; this
// is version 1, which is read for ever:
//
//   offset size
//        0    4  magic "HWF1"
//        4    1  version            1
//        5    1  class              1 audit, 2 metric
//        6    2  flags              bit 0 closing, bit 1 count-only, bit 2 possible duplicates
//        8   16  publisher id
//       24    8  seq_first          from 1; in a count-only frame: the next seq that will be given
//       32    4  seq_count          seqs that this frame covers; 0 in a count-only frame
//       36    4  line_count         lines in the body (a tombstone line covers many seqs)
//       40    8  accepted           seqs that the origin had accepted when the frame was cut
//       48    8  cut_time_us        publisher's clock, microseconds since 1970-01-01 UTC
//       56    4  body_bytes         length of the body before compression
//       60    4  body_compressed    length of what follows: one zstd frame; 0: no body
//       64    4  crc32c             of bytes 0 to 63, then of the compressed body
//       68       compressed body
//
// The body is lines of JSON, each ended by '\n': an event (see event.hpp for its keys) covers one
// seq; a tombstone covers `count` seqs:
//   {"type":"homeward.tombstone","reason":"dropped","count":512,"time":1700000000000000}

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <homeward/event_class.hpp>
#include "schemas/wire/publisher_id.hpp"

namespace homeward {

class SigningKey;

inline constexpr std::size_t kFrameHeaderBytes = 68;
/// NATS refuses larger messages by default (max_payload 1 MiB, headers included).
inline constexpr std::size_t kFrameBytesMax = 1'000'000;
/// Bounds what one message makes a reader allocate, whatever its header claims.
inline constexpr std::size_t kBodyBytesMax = 4u << 20;
/// Honest frames of repetitive JSON reach about 40; a bomb goes beyond 1,000.
inline constexpr std::size_t kBodyRatioMax = 1'000;
inline constexpr std::uint32_t kFrameLinesMax = 65'536;
/// One event as a line of JSON.
inline constexpr std::size_t kEventBytesMax = 256u << 10;

enum FrameFlags : std::uint16_t {
    kFrameClosing = 1,             ///< the origin will never send a higher seq
    kFrameCountOnly = 2,           ///< no body; only says how many events the origin has accepted
    kFramePossibleDuplicates = 4,  ///< re-cut after a machine restart; may repeat another origin's
};

struct FrameHeader {
    EventClass event_class = EventClass::audit;
    std::uint16_t flags = 0;
    PublisherId publisher;
    std::uint64_t seq_first = 1;
    std::uint32_t seq_count = 0;
    std::uint32_t line_count = 0;
    std::uint64_t accepted = 0;
    std::int64_t cut_time_us = 0;
    std::uint32_t body_bytes = 0;
    std::uint8_t version = 1;

    bool operator==(const FrameHeader&) const = default;
    std::uint64_t seq_last() const { return seq_first + seq_count - 1; }  ///< only if seq_count > 0
};

/// Seqs of a frame of version 2 that will never become rows.
struct FrameTombstone {
    std::uint32_t offset;  ///< of the first one, from seq_first
    std::uint32_t count;
    std::string reason;  ///< [a-z_]{1,32}

    bool operator==(const FrameTombstone&) const = default;
};

/// How a body has its events. Version 1 knows lines alone.
enum class BodyKind : std::uint8_t {
    json_lines = 1,  ///< each ended by '\n'
    columns = 2,     ///< schemas/columns/layout.hpp
};

/// What a frame carries besides its header. In version 1 tombstones are lines of the body.
struct FrameContent {
    std::string body;
    std::vector<FrameTombstone> tombstones{};  ///< ascending, disjoint
    BodyKind body_kind = BodyKind::json_lines;
    std::string types{};  ///< of columns: the definitions that they use
    /// Of columns: what their values take without any encoding, which a reader plans with.
    std::uint32_t values_bytes = 0;

    bool operator==(const FrameContent&) const = default;
};

/// The newest version that FrameDecoder reads.
inline constexpr std::uint8_t kFrameVersionMax = 2;

/// Why bytes are not a frame.
enum class FrameError : std::uint8_t {
    none,
    too_short,     ///< shorter than a header, or cut short
    bad_magic,     ///< not a frame at all
    bad_version,   ///< written by a newer Homeward: a later reader will understand it
    bad_field,     ///< class, flags, seq or counts that no publisher writes
    too_large,     ///< a stated size is beyond the caps
    bad_length,    ///< the message is longer or shorter than its header says
    bad_checksum,  ///< damaged
    bad_body,      ///< does not decompress to exactly what the header says
};

/// One phrase for an operator; never empty.
std::string_view explain(FrameError error);

/// Reusable; not thread-safe. Owns a zstd context, so that cutting a frame allocates nothing new.
class FrameEncoder {
  public:
    /// `level`: zstd compression level; 1 is the best trade on JSON of one event type.
    explicit FrameEncoder(int level = 1);
    ~FrameEncoder();
    FrameEncoder(const FrameEncoder&) = delete;
    FrameEncoder& operator=(const FrameEncoder&) = delete;

    /// Replaces `frame` by the encoded frame. `header.body_bytes` is taken from `body`.
    /// Precondition: body.size() <= kBodyBytesMax. Returns false, and leaves `frame` empty, if the
    /// result would exceed kFrameBytesMax (incompressible body: cut it in two).
    bool encode(FrameHeader header, std::string_view body, std::vector<std::byte>& frame);
    /// The same in version 2. `header.line_count`: events of the body. Signed if `key` is given,
    /// whose publisher() must be the header's. Also false if the tombstones do not fit into
    /// envelope::kHeaderBytesMax (2,000 always do).
    bool encode(FrameHeader header, const FrameContent& content, const SigningKey* key,
                std::vector<std::byte>& frame);

  private:
    std::size_t compress(std::string_view body, std::span<std::byte> space);
    void* context_;  // ZSTD_CCtx
    int level_;
};

/// Reusable; not thread-safe.
class FrameDecoder {
  public:
    FrameDecoder();
    ~FrameDecoder();
    FrameDecoder(const FrameDecoder&) = delete;
    FrameDecoder& operator=(const FrameDecoder&) = delete;

    /// Checks everything but a signature (wire/frame_signature.hpp); on success `header` is set
    /// and the content is replaced. Its body is left with
    /// `tail_padding` spare bytes of capacity behind it (simdjson reads beyond the end).
    /// On failure both are unspecified.
    FrameError decode(std::span<const std::byte> frame, FrameHeader& header, FrameContent& content,
                      std::size_t tail_padding = 0);
    /// The same for readers that do not need the tombstones of version 2.
    FrameError decode(std::span<const std::byte> frame, FrameHeader& header, std::string& body,
                      std::size_t tail_padding = 0);

    /// The header alone, checksum verified, nothing decompressed.
    static FrameError decode_header(std::span<const std::byte> frame, FrameHeader& header);

  private:
    void* context_;  // ZSTD_DCtx
};

/// The CRC32C in the header of a frame of either version; 0 for what is too short. Not verified.
std::uint32_t stored_checksum(std::span<const std::byte> frame);

/// What a frame claims of its size, within the caps but otherwise unchecked: fit to plan by, no
/// more.
struct FrameSize {
    std::uint32_t lines;
    std::uint32_t body_bytes;  ///< of columns, their values' if these have more
};
FrameSize claimed_size(std::span<const std::byte> frame);

/// Appends a tombstone line to a body. `reason`: [a-z_]+, e.g. "dropped", "damaged".
void append_tombstone(std::string& body, std::string_view reason, std::uint32_t count,
                      std::int64_t time_us);

inline constexpr std::string_view kTombstoneType = "homeward.tombstone";

}  // namespace homeward
