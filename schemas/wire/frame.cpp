#include "schemas/wire/frame.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>

#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/crc32c.hpp"
#include "schemas/wire/envelope.hpp"
#include "schemas/wire/frame_signature.hpp"

namespace homeward {
namespace {

constexpr std::array<char, 4> kMagic{'H', 'W', 'F', '1'};
constexpr std::uint8_t kVersion = 1;
constexpr std::uint16_t kFlagsKnown = kFrameClosing | kFrameCountOnly | kFramePossibleDuplicates;
constexpr std::size_t kChecksumOffset = 64;

std::uint32_t checksum(std::span<const std::byte> frame) {
    return crc32c(frame.subspan(kFrameHeaderBytes), crc32c(frame.first(kChecksumOffset)));
}

void store_header(const FrameHeader& header, std::uint32_t compressed_bytes, std::byte* frame) {
    store(frame, 0, kMagic);
    store(frame, 4, kVersion);
    store(frame, 5, header.event_class);
    store(frame, 6, header.flags);
    store(frame, 8, header.publisher.bytes);
    store(frame, 24, header.seq_first);
    store(frame, 32, header.seq_count);
    store(frame, 36, header.line_count);
    store(frame, 40, header.accepted);
    store(frame, 48, header.cut_time_us);
    store(frame, 56, header.body_bytes);
    store(frame, 60, compressed_bytes);
}

/// Also one zstd frame, but with a block for every piece, so that it expands at most some 250
/// times. An error code of zstd's when that does not work.
std::size_t compress_in_pieces(ZSTD_CCtx* context, int level, std::string_view body,
                               std::span<std::byte> compressed) {
    constexpr std::size_t kPieceBytes = 1'024;
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setPledgedSrcSize(context, body.size());
    ZSTD_outBuffer out{compressed.data(), compressed.size(), 0};
    while (!body.empty()) {
        ZSTD_inBuffer in{body.data(), std::min(body.size(), kPieceBytes), 0};
        body.remove_prefix(in.size);
        const std::size_t left =
            ZSTD_compressStream2(context, &out, &in, body.empty() ? ZSTD_e_end : ZSTD_e_flush);
        if (left != 0) return ZSTD_isError(left) != 0 ? left : static_cast<std::size_t>(-1);
    }
    return out.pos;
}

/// What no publisher writes is refused, so that what follows may rely on it.
bool is_plausible(const FrameHeader& header) {
    const bool count_only = (header.flags & kFrameCountOnly) != 0;
    const std::uint64_t seq_max = INT64_MAX;  // the leader keeps seqs as int8
    if (header.event_class != EventClass::audit && header.event_class != EventClass::metric) {
        return false;
    }
    if ((header.flags & ~kFlagsKnown) != 0 || header.seq_first == 0) return false;
    if (header.seq_first > seq_max - header.seq_count || header.accepted >= seq_max) return false;
    if (count_only) {
        return header.seq_count == 0 && header.line_count == 0 && header.body_bytes == 0 &&
               header.accepted >= header.seq_first - 1;
    }
    return header.seq_count > 0 && header.line_count > 0 && header.line_count <= header.seq_count &&
           header.body_bytes > 0 && header.accepted >= header.seq_last();
}

}  // namespace

std::string_view explain(FrameError error) {
    switch (error) {
        case FrameError::none:
            return "a whole frame";
        case FrameError::too_short:
            return "the frame is cut short";
        case FrameError::bad_magic:
            return "not a Homeward frame: it does not begin with HWF1";
        case FrameError::bad_version:
            return "the frame was written by a newer Homeward";
        case FrameError::bad_field:
            return "the frame's header holds values that no publisher writes";
        case FrameError::too_large:
            return "the frame claims more than the size caps allow";
        case FrameError::bad_length:
            return "the message is longer than its frame header says";
        case FrameError::bad_checksum:
            return "the frame's checksum is wrong: it was damaged";
        case FrameError::bad_body:
            return "the frame's body does not decompress to its stated size";
    }
    return "an unknown frame error";
}

FrameEncoder::FrameEncoder(int level) : context_(ZSTD_createCCtx()), level_(level) {
    if (context_ == nullptr) throw std::bad_alloc();
    auto* context = static_cast<ZSTD_CCtx*>(context_);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    // What events repeat is longer than the level looks for, keys above all: a tenth less time than
    // by its own choice, and no more bytes.
    ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, 7);
    ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, 15);
}

FrameEncoder::~FrameEncoder() {
    ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_));
}

/// An error code of zstd's, or more than fits into a frame, when the body is not compressible
/// enough.
std::size_t FrameEncoder::compress(std::string_view body, std::span<std::byte> space) {
    auto* context = static_cast<ZSTD_CCtx*>(context_);
    const std::size_t bytes =
        ZSTD_compress2(context, space.data(), space.size(), body.data(), body.size());
    // Nothing but one letter, or the same line again and again: no reader would take it.
    return body.size() > kBodyRatioMax * bytes ? compress_in_pieces(context, level_, body, space)
                                               : bytes;
}

bool FrameEncoder::encode(FrameHeader header, std::string_view body,
                          std::vector<std::byte>& frame) {
    assert(body.size() <= kBodyBytesMax);
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    std::size_t compressed_bytes = 0;
    frame.resize(kFrameHeaderBytes + (body.empty() ? 0 : ZSTD_compressBound(body.size())));
    if (!body.empty()) {
        compressed_bytes = compress(body, std::span(frame).subspan(kFrameHeaderBytes));
        if (ZSTD_isError(compressed_bytes) != 0 ||
            kFrameHeaderBytes + compressed_bytes > kFrameBytesMax) {
            frame.clear();
            return false;
        }
    }
    frame.resize(kFrameHeaderBytes + compressed_bytes);
    store_header(header, static_cast<std::uint32_t>(compressed_bytes), frame.data());
    store(frame.data(), kChecksumOffset, checksum(frame));
    return true;
}

bool FrameEncoder::encode(FrameHeader header, const FrameContent& content, const SigningKey* key,
                          std::vector<std::byte>& frame) {
    const std::string& body = content.body;
    assert(body.size() <= kBodyBytesMax && (body.empty() == (header.line_count == 0)));
    assert(key == nullptr || key->publisher() == header.publisher);
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    // What precedes the body is as long whatever the body's compressed size will be.
    std::vector<std::byte> before = envelope::encode_header(header, content, key != nullptr);
    frame.clear();
    if (before.empty()) return false;
    frame.resize(before.size() + (body.empty() ? 0 : ZSTD_compressBound(body.size())));
    std::size_t compressed_bytes = 0;
    if (!body.empty()) {
        compressed_bytes = compress(body, std::span(frame).subspan(before.size()));
        if (ZSTD_isError(compressed_bytes) != 0 ||
            before.size() + compressed_bytes > kFrameBytesMax) {
            frame.clear();
            return false;
        }
    }
    frame.resize(before.size() + compressed_bytes);
    envelope::set_body_bytes(before, static_cast<std::uint32_t>(compressed_bytes));
    std::copy(before.begin(), before.end(), frame.begin());
    if (key != nullptr) {
        key->sign(frame);
    } else {
        envelope::seal(frame);
    }
    return true;
}

FrameDecoder::FrameDecoder() : context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
}

FrameDecoder::~FrameDecoder() {
    ZSTD_freeDCtx(static_cast<ZSTD_DCtx*>(context_));
}

FrameError FrameDecoder::decode_header(std::span<const std::byte> frame, FrameHeader& header) {
    if (frame.size() < kMagic.size()) return FrameError::too_short;
    if (load<std::array<char, 4>>(frame, 0) != kMagic) return FrameError::bad_magic;
    if (frame.size() <= kMagic.size()) return FrameError::too_short;
    const auto version = load<std::uint8_t>(frame, 4);
    if (version == envelope::kVersion) {
        envelope::Parts parts;
        const FrameError error = envelope::parse(frame, parts);
        header = parts.header;
        return error;
    }
    if (version != kVersion) return FrameError::bad_version;
    if (frame.size() < kFrameHeaderBytes) return FrameError::too_short;
    header.version = version;
    header.event_class = static_cast<EventClass>(load<std::uint8_t>(frame, 5));
    header.flags = load<std::uint16_t>(frame, 6);
    header.publisher.bytes = load<std::array<std::uint8_t, 16>>(frame, 8);
    header.seq_first = load<std::uint64_t>(frame, 24);
    header.seq_count = load<std::uint32_t>(frame, 32);
    header.line_count = load<std::uint32_t>(frame, 36);
    header.accepted = load<std::uint64_t>(frame, 40);
    header.cut_time_us = load<std::int64_t>(frame, 48);
    header.body_bytes = load<std::uint32_t>(frame, 56);
    const auto compressed_bytes = load<std::uint32_t>(frame, 60);
    if (header.body_bytes > kBodyBytesMax || header.line_count > kFrameLinesMax ||
        compressed_bytes > kFrameBytesMax || frame.size() > kFrameBytesMax ||
        header.body_bytes > kBodyRatioMax * static_cast<std::size_t>(compressed_bytes)) {
        return FrameError::too_large;
    }
    if (frame.size() < kFrameHeaderBytes + compressed_bytes) return FrameError::too_short;
    if (frame.size() > kFrameHeaderBytes + compressed_bytes) return FrameError::bad_length;
    if (load<std::uint32_t>(frame, kChecksumOffset) != checksum(frame)) {
        return FrameError::bad_checksum;
    }
    return is_plausible(header) ? FrameError::none : FrameError::bad_field;
}

std::uint32_t stored_checksum(std::span<const std::byte> frame) {
    if (frame.size() < envelope::kFixedBytes) return 0;
    const auto version = load<std::uint8_t>(frame, 4);
    if (version == envelope::kVersion) return load<std::uint32_t>(frame, envelope::kChecksumOffset);
    return frame.size() < kFrameHeaderBytes ? 0 : load<std::uint32_t>(frame, kChecksumOffset);
}

FrameSize claimed_size(std::span<const std::byte> frame) {
    if (frame.size() >= envelope::kFixedBytes &&
        load<std::uint8_t>(frame, 4) == envelope::kVersion) {
        return envelope::claimed_size(frame);
    }
    if (frame.size() < kFrameHeaderBytes) return {1, static_cast<std::uint32_t>(frame.size())};
    return {std::min(load<std::uint32_t>(frame, 36), kFrameLinesMax),
            std::min(load<std::uint32_t>(frame, 56), static_cast<std::uint32_t>(kBodyBytesMax))};
}

FrameError FrameDecoder::decode(std::span<const std::byte> frame, FrameHeader& header,
                                FrameContent& content, std::size_t tail_padding) {
    const FrameError error = decode_header(frame, header);
    if (error != FrameError::none) return error;
    content.tombstones.clear();
    content.types.clear();
    content.body_kind = BodyKind::json_lines;
    content.values_bytes = 0;
    auto compressed = frame.subspan(std::min(kFrameHeaderBytes, frame.size()));
    if (header.version == envelope::kVersion) {
        envelope::Parts parts;
        envelope::parse(frame, parts, envelope::Checksum::trust);
        compressed = parts.body;
        envelope::read_tombstones(parts.tombstones, content.tombstones);
        content.body_kind = parts.body_kind;
        content.values_bytes = parts.values_bytes;
        content.types.assign(reinterpret_cast<const char*>(parts.types.data()), parts.types.size());
    }
    std::string& body = content.body;
    body.reserve(header.body_bytes + tail_padding);
    body.resize(header.body_bytes);
    if (header.body_bytes == 0) return compressed.empty() ? FrameError::none : FrameError::bad_body;
    // The destination is as large as the header says, so a bomb stops here and costs nothing more.
    const std::size_t written =
        ZSTD_decompressDCtx(static_cast<ZSTD_DCtx*>(context_), body.data(), body.size(),
                            compressed.data(), compressed.size());
    return written == header.body_bytes ? FrameError::none : FrameError::bad_body;
}

FrameError FrameDecoder::decode(std::span<const std::byte> frame, FrameHeader& header,
                                std::string& body, std::size_t tail_padding) {
    FrameContent content;
    content.body.swap(body);
    const FrameError error = decode(frame, header, content, tail_padding);
    content.body.swap(body);
    return error;
}

void append_tombstone(std::string& body, std::string_view reason, std::uint32_t count,
                      std::int64_t time_us) {
    body.append(R"({"type":"homeward.tombstone","reason":")")
        .append(reason)
        .append(R"(","count":)")
        .append(std::to_string(count))
        .append(R"(,"time":)")
        .append(std::to_string(time_us))
        .append("}\n");
}

}  // namespace homeward
