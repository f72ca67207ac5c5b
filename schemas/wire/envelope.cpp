#include "schemas/wire/envelope.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "schemas/wire/byte_order.hpp"
#include "schemas/wire/crc32c.hpp"

namespace homeward::envelope {
namespace {

constexpr std::array<char, 4> kMagic{'H', 'W', 'F', '1'};
constexpr std::uint16_t kFlagsKnown = kFrameClosing | kFrameCountOnly | kFramePossibleDuplicates;
constexpr std::uint16_t kIsRequired = 1;
constexpr std::size_t kBodySectionBytes = 12;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kTombstonePrefixBytes = 9;

constexpr std::size_t padded(std::size_t bytes) {
    return (bytes + 7) / 8 * 8;
}

std::uint32_t checksum_of(std::span<const std::byte> frame) {
    return crc32c(frame.subspan(kChecksumOffset + 4), crc32c(frame.first(kChecksumOffset)));
}

std::size_t body_section_bytes(BodyKind kind) {
    return kBodySectionBytes + (kind == BodyKind::columns ? sizeof(std::uint32_t) : 0);
}

FrameError read_body_section(std::span<const std::byte> content, Parts& parts) {
    if (content.size() < kBodySectionBytes || parts.header.body_bytes != 0) {
        return FrameError::bad_field;
    }
    parts.body_kind = load<BodyKind>(content, 0);
    const bool is_kind_known =
        parts.body_kind == BodyKind::json_lines || parts.body_kind == BodyKind::columns;
    if (!is_kind_known || load<Codec>(content, 1) != Codec::zstd) return FrameError::bad_version;
    if (content.size() != body_section_bytes(parts.body_kind)) return FrameError::bad_field;
    if (parts.body_kind == BodyKind::columns) {
        parts.values_bytes = load<std::uint32_t>(content, kBodySectionBytes);
    }
    parts.header.line_count = load<std::uint32_t>(content, 4);
    parts.header.body_bytes = load<std::uint32_t>(content, 8);
    if (load<std::uint16_t>(content, 2) != 0 || parts.header.body_bytes == 0 ||
        parts.header.line_count == 0) {
        return FrameError::bad_field;
    }
    const bool is_bomb = parts.header.body_bytes > kBodyRatioMax * parts.body.size();
    if (parts.header.body_bytes > kBodyBytesMax || parts.values_bytes > kBodyBytesMax ||
        parts.header.line_count > kFrameLinesMax || is_bomb) {
        return FrameError::too_large;
    }
    return FrameError::none;
}

/// Ascending, disjoint, within the frame, and together with the body's events all of it.
bool are_tombstones_valid(const Parts& parts) {
    std::uint64_t end = 0;
    std::uint64_t covered = 0;
    const auto content = parts.tombstones;
    for (std::size_t at = 0; at < content.size();) {
        if (content.size() - at < kTombstonePrefixBytes) return false;
        const auto offset = load<std::uint32_t>(content, at);
        const auto count = load<std::uint32_t>(content, at + 4);
        const auto length = load<std::uint8_t>(content, at + 8);
        at += kTombstonePrefixBytes;
        if (count == 0 || offset < end || length == 0 || length > kReasonBytesMax ||
            content.size() - at < length) {
            return false;
        }
        for (std::size_t i = 0; i < length; ++i) {
            const auto c = load<char>(content, at + i);
            if ((c < 'a' || c > 'z') && c != '_') return false;
        }
        at += length;
        end = std::uint64_t{offset} + count;
        covered += count;
    }
    return end <= parts.header.seq_count &&
           covered + parts.header.line_count == parts.header.seq_count;
}

FrameError read_section(std::uint16_t kind, std::span<const std::byte> content, Parts& parts) {
    const auto take_once = [&](std::span<const std::byte>& into, std::size_t bytes) {
        if (!into.empty() || content.empty() || (bytes != 0 && content.size() != bytes)) {
            return FrameError::bad_field;
        }
        into = content;
        return FrameError::none;
    };
    switch (static_cast<Section>(kind)) {
        case Section::body:
            return read_body_section(content, parts);
        case Section::tombstones:
            return take_once(parts.tombstones, 0);
        case Section::key:
            return take_once(parts.key, kKeyBytes);
        case Section::signature:
            return take_once(parts.signature, kSignatureBytes);
        case Section::types:
            return take_once(parts.types, 0);
    }
    return FrameError::none;
}

bool is_known(std::uint16_t kind) {
    return kind >= static_cast<std::uint16_t>(Section::body) &&
           kind <= static_cast<std::uint16_t>(Section::signature);
}

FrameError read_sections(std::span<const std::byte> header_bytes, Parts& parts) {
    for (std::size_t at = kFixedBytes; at < header_bytes.size();) {
        // The signature covers what precedes it, so nothing may follow.
        if (!parts.signature.empty()) return FrameError::bad_field;
        if (header_bytes.size() - at < kSectionPrefixBytes) return FrameError::bad_field;
        const auto kind = load<std::uint16_t>(header_bytes, at);
        const auto bits = load<std::uint16_t>(header_bytes, at + 2);
        const std::size_t bytes = load<std::uint32_t>(header_bytes, at + 4);
        if (padded(bytes) > header_bytes.size() - at - kSectionPrefixBytes ||
            (bits & ~kIsRequired) != 0) {
            return FrameError::bad_field;
        }
        if (!is_known(kind) && (bits & kIsRequired) != 0) return FrameError::bad_version;
        const std::size_t content_at = at + kSectionPrefixBytes;
        const FrameError error = read_section(kind, header_bytes.subspan(content_at, bytes), parts);
        if (error != FrameError::none) return error;
        for (std::size_t i = bytes; i < padded(bytes); ++i) {
            if (load<std::uint8_t>(header_bytes, content_at + i) != 0) return FrameError::bad_field;
        }
        if (!parts.signature.empty()) parts.signature_offset = content_at;
        at = content_at + padded(bytes);
    }
    return parts.key.empty() == parts.signature.empty() ? FrameError::none : FrameError::bad_field;
}

/// What no publisher writes is refused, so that what follows may rely on it.
bool is_plausible(const Parts& parts) {
    const FrameHeader& header = parts.header;
    const std::uint64_t seq_max = INT64_MAX;  // the leader keeps seqs as int8
    if (header.event_class != EventClass::audit && header.event_class != EventClass::metric) {
        return false;
    }
    if ((header.flags & ~kFlagsKnown) != 0 || header.seq_first == 0) return false;
    if (header.seq_first > seq_max - header.seq_count || header.accepted >= seq_max) return false;
    if ((header.body_bytes == 0) != parts.body.empty()) return false;
    if (!parts.types.empty() && parts.body_kind != BodyKind::columns) return false;
    if ((header.flags & kFrameCountOnly) != 0) {
        return header.seq_count == 0 && parts.body.empty() && parts.tombstones.empty() &&
               header.accepted >= header.seq_first - 1;
    }
    return header.seq_count > 0 && header.accepted >= header.seq_last() &&
           are_tombstones_valid(parts);
}

void read_fixed(std::span<const std::byte> frame, FrameHeader& header) {
    header.version = kVersion;
    header.event_class = static_cast<EventClass>(load<std::uint8_t>(frame, 5));
    header.flags = load<std::uint16_t>(frame, 6);
    header.publisher.bytes = load<std::array<std::uint8_t, 16>>(frame, 16);
    header.seq_first = load<std::uint64_t>(frame, 32);
    header.seq_count = load<std::uint32_t>(frame, 40);
    header.accepted = load<std::uint64_t>(frame, 48);
    header.cut_time_us = load<std::int64_t>(frame, 56);
}

/// Appends an empty section, and returns its content.
std::span<std::byte> add_section(std::vector<std::byte>& header, Section kind, std::size_t bytes) {
    const std::size_t at = header.size();
    header.resize(at + kSectionPrefixBytes + padded(bytes));
    store(header.data(), at, static_cast<std::uint16_t>(kind));
    store(header.data(), at + 2, kIsRequired);
    store(header.data(), at + 4, static_cast<std::uint32_t>(bytes));
    return std::span(header).subspan(at + kSectionPrefixBytes, bytes);
}

void add_tombstones(std::vector<std::byte>& header, std::span<const FrameTombstone> tombstones) {
    std::size_t bytes = 0;
    for (const auto& one : tombstones) bytes += kTombstonePrefixBytes + one.reason.size();
    std::byte* at = add_section(header, Section::tombstones, bytes).data();
    for (const auto& one : tombstones) {
        assert(!one.reason.empty() && one.reason.size() <= kReasonBytesMax);
        store(at, 0, one.offset);
        store(at, 4, one.count);
        store(at, 8, static_cast<std::uint8_t>(one.reason.size()));
        std::memcpy(at + kTombstonePrefixBytes, one.reason.data(), one.reason.size());
        at += kTombstonePrefixBytes + one.reason.size();
    }
}

}  // namespace

FrameError parse(std::span<const std::byte> frame, Parts& parts, Checksum checksum) {
    if (frame.size() < kFixedBytes) return FrameError::too_short;
    read_fixed(frame, parts.header);
    const std::size_t header_bytes = load<std::uint32_t>(frame, 12);
    const std::size_t body_bytes = load<std::uint32_t>(frame, 44);
    if (header_bytes > kHeaderBytesMax || body_bytes > kFrameBytesMax ||
        frame.size() > kFrameBytesMax) {
        return FrameError::too_large;
    }
    if (header_bytes < kFixedBytes || header_bytes % 8 != 0) return FrameError::bad_field;
    if (frame.size() < header_bytes + body_bytes) return FrameError::too_short;
    if (frame.size() > header_bytes + body_bytes) return FrameError::bad_length;
    if (checksum == Checksum::verify &&
        load<std::uint32_t>(frame, kChecksumOffset) != checksum_of(frame)) {
        return FrameError::bad_checksum;
    }
    parts.body = frame.subspan(header_bytes);
    const FrameError error = read_sections(frame.first(header_bytes), parts);
    if (error != FrameError::none) return error;
    return is_plausible(parts) ? FrameError::none : FrameError::bad_field;
}

void read_tombstones(std::span<const std::byte> section, std::vector<FrameTombstone>& tombstones) {
    for (std::size_t at = 0; at < section.size();) {
        const std::size_t length = load<std::uint8_t>(section, at + 8);
        const auto reason = section.subspan(at + kTombstonePrefixBytes, length);
        tombstones.push_back(
            {load<std::uint32_t>(section, at), load<std::uint32_t>(section, at + 4),
             std::string(reinterpret_cast<const char*>(reason.data()), reason.size())});
        at += kTombstonePrefixBytes + length;
    }
}

std::vector<std::byte> encode_header(const FrameHeader& header, const FrameContent& content,
                                     bool is_signed) {
    std::vector<std::byte> out(kFixedBytes);
    store(out.data(), 0, kMagic);
    store(out.data(), 4, kVersion);
    store(out.data(), 5, header.event_class);
    store(out.data(), 6, header.flags);
    store(out.data(), 16, header.publisher.bytes);
    store(out.data(), 32, header.seq_first);
    store(out.data(), 40, header.seq_count);
    store(out.data(), 48, header.accepted);
    store(out.data(), 56, header.cut_time_us);
    if (header.body_bytes > 0) {
        std::byte* body =
            add_section(out, Section::body, body_section_bytes(content.body_kind)).data();
        store(body, 0, content.body_kind);
        store(body, 1, Codec::zstd);
        store(body, 4, header.line_count);
        store(body, 8, header.body_bytes);
        if (content.body_kind == BodyKind::columns) {
            store(body, kBodySectionBytes, content.values_bytes);
        }
    }
    if (!content.tombstones.empty()) add_tombstones(out, content.tombstones);
    if (!content.types.empty()) {
        std::byte* types = add_section(out, Section::types, content.types.size()).data();
        std::memcpy(types, content.types.data(), content.types.size());
    }
    if (is_signed) {
        add_section(out, Section::key, kKeyBytes);
        add_section(out, Section::signature, kSignatureBytes);
    }
    if (out.size() > kHeaderBytesMax) return {};
    store(out.data(), 12, static_cast<std::uint32_t>(out.size()));
    return out;
}

void set_body_bytes(std::span<std::byte> header, std::uint32_t compressed_bytes) {
    store(header.data(), 44, compressed_bytes);
}

FrameSize claimed_size(std::span<const std::byte> frame) {
    Parts parts;
    // What is refused is never decompressed, and there may be nothing to decompress.
    if (parse(frame, parts, Checksum::trust) != FrameError::none || parts.body.empty()) {
        return {1, static_cast<std::uint32_t>(std::min(frame.size(), kFrameBytesMax))};
    }
    return {parts.header.line_count, std::max(parts.header.body_bytes, parts.values_bytes)};
}

SignatureRoom signature_room(std::span<std::byte> frame) {
    constexpr std::size_t kSignatureSection = kSectionPrefixBytes + kSignatureBytes;
    constexpr std::size_t kKeySection = kSectionPrefixBytes + kKeyBytes;
    const std::size_t header_bytes = load<std::uint32_t>(frame, 12);
    assert(header_bytes >= kFixedBytes + kKeySection + kSignatureSection);
    const std::size_t offset = header_bytes - kSignatureBytes;
    return {frame.subspan(header_bytes - kSignatureSection - kKeyBytes, kKeyBytes),
            frame.subspan(offset, kSignatureBytes), offset};
}

void seal(std::span<std::byte> frame) {
    store(frame.data(), kChecksumOffset, checksum_of(frame));
}

}  // namespace homeward::envelope
