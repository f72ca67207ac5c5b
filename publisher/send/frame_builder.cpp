#include "publisher/send/frame_builder.hpp"

#include <cassert>

#include <homeward/detail/clock.hpp>

namespace homeward {
namespace {

/// Leaves room for the largest single event behind the last check.
constexpr std::uint32_t kLinesMax = kFrameLinesMax - 2;
/// Columns say once what lines say in each event: their frames have four times the values, and
/// still fewer bytes than those of lines.
constexpr std::size_t kValuesPerBodyByte = 4;
/// So many always fit into a frame of version 2.
constexpr std::size_t kTombstonesMax = 1'000;

}  // namespace

FrameBuilder::FrameBuilder(EventClass event_class, const PublisherId& publisher,
                           const SigningKey* key)
    : event_class_(event_class), publisher_(publisher), key_(key) {
    assert((key != nullptr) == publisher.is_self_certifying());
}

RecordError FrameBuilder::add_event(std::span<const std::byte> record, const FindDescriptor& find,
                                    std::size_t* replaced) {
    RecordError error = RecordError::none;
    if (is_version_2()) {
        error = columns_.add(record, find, replaced);
    } else {
        error = append_record_json(record, find, content_.body, replaced);
        if (error == RecordError::none) content_.body += '\n';
    }
    if (error != RecordError::none) return error;
    ++seqs_;
    ++lines_;
    return RecordError::none;
}

std::size_t FrameBuilder::body_bytes() const {
    return is_version_2() ? columns_.values_bytes() / kValuesPerBodyByte : content_.body.size();
}

std::size_t FrameBuilder::json_bytes() const {
    return is_version_2() ? columns_.json_bytes() : content_.body.size();
}

void FrameBuilder::add_lost(std::string_view reason, std::uint32_t count) {
    assert(count > 0 && count <= room_for_lost());
    if (is_version_2()) {
        auto& tombstones = content_.tombstones;
        const bool continues = !tombstones.empty() && tombstones.back().reason == reason &&
                               tombstones.back().offset + tombstones.back().count == seqs_;
        if (continues) {
            tombstones.back().count += count;
        } else {
            tombstones.push_back({seqs_, count, std::string(reason)});
        }
    } else {
        append_tombstone(content_.body, reason, count, detail::Clock::system_us());
        ++lines_;
    }
    seqs_ += count;
    lost_ += count;
}

bool FrameBuilder::is_full(std::size_t frame_bytes) const {
    return body_bytes() >= frame_bytes || lines_ >= kLinesMax ||
           content_.tombstones.size() >= kTombstonesMax || columns_.is_full();
}

FrameHeader FrameBuilder::header_at(const Position& position) const {
    FrameHeader header;
    header.version = is_version_2() ? 2 : 1;
    header.event_class = event_class_;
    header.flags = position.flags;
    header.publisher = publisher_;
    header.seq_first = position.seq_first;
    header.accepted = position.accepted;
    header.cut_time_us = detail::Clock::system_us();
    return header;
}

void FrameBuilder::cut(const Position& position, std::vector<std::byte>& frame) {
    FrameHeader header = header_at(position);
    header.seq_count = seqs_;
    header.line_count = lines_;
    content_.body_kind = BodyKind::json_lines;
    if (columns_.events() > 0) columns_.write(content_);
    const bool is_encoded = is_version_2() ? encoder_.encode(header, content_, key_, frame)
                                           : encoder_.encode(header, content_.body, frame);
    assert(is_encoded && "kEventBytesMax and frame_bytes keep every frame below kFrameBytesMax");
    static_cast<void>(is_encoded);
}

void FrameBuilder::cut_count_only(const Position& position, std::vector<std::byte>& frame) {
    FrameHeader header = header_at(position);
    header.flags |= kFrameCountOnly;
    if (is_version_2()) {
        encoder_.encode(header, FrameContent{}, key_, frame);
    } else {
        encoder_.encode(header, {}, frame);
    }
}

void FrameBuilder::clear() {
    columns_.clear();
    content_.body.clear();
    content_.types.clear();
    content_.tombstones.clear();
    seqs_ = lines_ = lost_ = 0;
}

}  // namespace homeward
