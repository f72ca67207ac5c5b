#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <homeward/detail/lane_layout.hpp>
#include <homeward/detail/lane_writer.hpp>

#include "publisher/buffer/log_format.hpp"
#include "publisher/buffer/shared_lane.hpp"
#include "publisher/platform/file.hpp"

namespace homeward {

/// A lane's mapping, ring twice. Owned by the publisher; outlives its writers. It holds no
/// descriptor: the mapping keeps the file's bytes.
class LaneMapping {
  public:
    /// A new lane; throws SetupError when the space cannot be had. `checksum`: of its records;
    /// nullopt: what the file needs where it lies (lane_layout.hpp).
    static LaneMapping create(File file, EventClass event_class, std::size_t ring_bytes,
                              detail::LaneKind kind = detail::LaneKind::own,
                              std::optional<detail::LaneChecksum> checksum = std::nullopt);
    /// One that a dead process left; a file that was cut short is made whole with zeros. nullptr if
    /// both copies of its superblock are damaged, or there is no space to make it whole.
    static std::unique_ptr<LaneMapping> open(File file);
    ~LaneMapping();
    LaneMapping(LaneMapping&& other) noexcept;
    LaneMapping& operator=(LaneMapping&&) = delete;

    detail::LaneHeader* header() const { return header_; }
    std::byte* ring() const { return ring_; }
    std::size_t ring_bytes() const { return ring_bytes_; }
    /// False if the file was cut off within the header: its counters say nothing.
    bool has_whole_header() const { return file_bytes_ >= detail::kLaneHeaderBytes; }
    /// Of the ring, what the file had when it was opened; what is behind was made up.
    std::size_t ring_bytes_found() const {
        return has_whole_header() ? file_bytes_ - detail::kLaneHeaderBytes : 0;
    }
    EventClass event_class() const { return event_class_; }
    bool is_shared() const { return kind_ == detail::LaneKind::shared; }
    detail::LaneChecksum checksum() const { return checksum_; }
    /// Of a shared lane that is written to here; else nullptr.
    detail::SharedLaneSeats* seats() const { return seats_.get(); }
    /// Or each page's first record pays for a page fault, some 2 µs. Takes some 300 µs: by the
    /// sender, not by the thread whose first event waits for its lane. Changes nothing in it.
    void prefault() const;
    /// Gives the ring's memory back to the filesystem; it reads zero then. For a lane that nobody
    /// writes to any more and whose records are logged.
    void free_ring() const;

  private:
    LaneMapping(const File& file, EventClass event_class, std::size_t ring_bytes,
                detail::LaneKind kind);

    EventClass event_class_;
    detail::LaneKind kind_;
    detail::LaneChecksum checksum_ = detail::LaneChecksum::crc32c;
    std::unique_ptr<detail::SharedLaneSeats> seats_;
    std::size_t ring_bytes_;
    std::size_t file_bytes_ = SIZE_MAX;
    std::byte* base_ = nullptr;
    detail::LaneHeader* header_ = nullptr;
    std::byte* ring_ = nullptr;
};

/// The sender's end of a lane. One thread. Reading ahead and releasing are apart: what was read
/// stays in the ring until the frame that holds it is logged.
class LaneReader {
  public:
    /// A lane that this process writes to.
    explicit LaneReader(const LaneMapping& mapping);
    /// A lane that a dead process left: whatever its head says, the ring is searched for records
    /// to the end of the lap. `logged`: what the log knows of it, for a kill may have fallen
    /// between the log's entry and the lane's checkpoint; nullptr: nothing.
    LaneReader(const LaneMapping& mapping, const LaneTail* logged);

    enum class Outcome : std::uint8_t {
        record,   ///< `payload` is set
        empty,    ///< nothing more yet
        damaged,  ///< bytes that are no record were skipped
    };
    /// The next record; its payload is valid until release().
    Outcome read(std::span<const std::byte>& payload);
    /// When it is empty: how many events were in what was skipped since it was last asked.
    std::uint64_t take_lost();
    /// Of a left lane that was read to its end: whether its counters agree with what was found. If
    /// not, nobody can say how many events it held.
    bool adds_up() const;

    std::uint64_t position() const { return position_; }
    /// Events before position(), lost ones included.
    std::uint64_t records_read() const { return records_read_; }
    /// Gives everything before position() back to the producer; the log holds it.
    void release(std::uint64_t drops_reported, std::uint64_t seq_next);

    std::uint64_t drops() const { return header_->drops.load(std::memory_order_acquire); }
    std::uint64_t drops_reported() const { return drops_reported_; }
    /// Of the origin, as far as the lane knows.
    std::uint64_t seq_next() const { return seq_next_; }

  private:
    bool is_record(std::uint64_t position, std::uint64_t end, bool may_follow = false) const;
    std::uint64_t prefix_at(std::uint64_t position) const;
    Outcome skip_unpublished(std::uint64_t end);
    std::uint64_t end();
    bool is_all_read() const;
    bool is_plausible(std::uint64_t head) const;
    Outcome skip_damage(std::uint64_t end);
    Outcome skip_damage_of_shared(std::uint64_t end);

    detail::LaneHeader* header_;
    std::byte* ring_;
    std::size_t mask_;
    std::size_t bytes_found_;
    detail::LaneChecksum checksum_;
    bool has_whole_header_;
    bool shared_;
    detail::SharedLaneSeats* seats_;  ///< nullptr: nobody writes to it any more
    bool is_behind_record_ = true;    ///< a shared lane's next record may be a follower
    std::uint64_t position_ = 0;
    std::uint64_t released_ = 0;
    std::uint64_t records_read_ = 0;
    std::uint64_t drops_reported_ = 0;
    std::uint64_t seq_next_ = 1;
    std::uint64_t lap_end_ = 0;  ///< of a left lane; 0: follow the head
    std::uint64_t head_seen_ = 0;
    std::uint64_t damaged_bytes_ = 0;
    std::uint64_t damaged_at_least_ = 0;
};

}  // namespace homeward
