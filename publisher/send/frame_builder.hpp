#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <string_view>
#include <vector>

#include "schemas/columns/encoder.hpp"
#include "schemas/text/record_json.hpp"
#include "schemas/wire/frame.hpp"
#include "schemas/wire/frame_signature.hpp"

namespace homeward {

/// Gathers events and lost seqs until they are cut into a frame. An origin's frames are of version
/// 2, in columns and signed, if its publisher id is self-certifying; else of version 1, in lines.
/// One thread.
class FrameBuilder {
  public:
    /// What a frame says of its origin at the time of the cut.
    struct Position {
        std::uint64_t seq_first;
        std::uint64_t accepted;
        std::uint16_t flags = 0;
    };
    /// Seqs that one tombstone covers at most, and all of one frame together: the other half of
    /// what a frame's 32-bit count can say is more than its events take.
    static constexpr std::uint32_t kLostMax = UINT32_MAX / 2;

    /// `key`: of the publisher; nullptr unless the id is self-certifying. Must outlive this.
    FrameBuilder(EventClass event_class, const PublisherId& publisher, const SigningKey* key);

    /// Adds the event of a lane record, as append_record_json() would. On error nothing was added.
    RecordError add_event(std::span<const std::byte> record, const FindDescriptor& find,
                          std::size_t* replaced);
    /// `reason`: [a-z_]{1,32}. Precondition: count is at most room_for_lost(), and not 0.
    void add_lost(std::string_view reason, std::uint32_t count);

    std::uint32_t room_for_lost() const { return kLostMax - lost_; }
    /// How many seqs the frame will cover, and how many of these are lost.
    std::uint32_t seqs() const { return seqs_; }
    std::uint32_t lost() const { return lost_; }
    /// What counts against `frame_bytes`: of lines, the body before compression; of columns, a
    /// quarter of their values.
    std::size_t body_bytes() const;
    /// What the body takes, or would take, as lines.
    std::size_t json_bytes() const;
    /// Whether it should be cut now: its body has `frame_bytes`, or its lines are as many as a
    /// reader takes.
    bool is_full(std::size_t frame_bytes) const;

    /// Replaces `frame` by one of what was gathered. Keeps that until clear().
    void cut(const Position& position, std::vector<std::byte>& frame);
    /// Replaces `frame` by a count-only one, without what was gathered.
    void cut_count_only(const Position& position, std::vector<std::byte>& frame);
    void clear();

  private:
    FrameHeader header_at(const Position& position) const;
    bool is_version_2() const { return key_ != nullptr; }

    EventClass event_class_;
    PublisherId publisher_;
    const SigningKey* key_;
    FrameEncoder encoder_;
    columns::Encoder columns_;  // of version 2: the body until it is cut
    FrameContent content_;
    std::uint32_t seqs_ = 0;
    std::uint32_t lines_ = 0;  // of the body; in version 1 tombstones, too
    std::uint32_t lost_ = 0;
};

}  // namespace homeward
