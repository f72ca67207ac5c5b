#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <homeward/detail/lane_layout.hpp>
#include <homeward/detail/lane_writer.hpp>

#include "publisher/file.hpp"

namespace homeward {

/// A lane's mapping, ring twice. Owned by the publisher; outlives its writers.
class LaneMapping {
  public:
    /// A new lane; throws SetupError when the space cannot be had.
    static LaneMapping create(File file, EventClass event_class, std::size_t ring_bytes);
    /// An existing one; nullptr if the header is damaged beyond use.
    static std::unique_ptr<LaneMapping> open(File file);
    ~LaneMapping();
    LaneMapping(LaneMapping&& other) noexcept;
    LaneMapping& operator=(LaneMapping&&) = delete;

    detail::LaneHeader* header() const { return header_; }
    std::byte* ring() const { return ring_; }
    std::size_t ring_bytes() const { return ring_bytes_; }
    EventClass event_class() const { return static_cast<EventClass>(header_->event_class); }

  private:
    LaneMapping(File file, std::size_t ring_bytes);

    File file_;
    std::size_t ring_bytes_;
    std::byte* base_ = nullptr;
    detail::LaneHeader* header_ = nullptr;
    std::byte* ring_ = nullptr;
};

/// The sender's end of a lane. One thread. Reading ahead and releasing are apart: what was read
/// stays in the ring until the frame that holds it is logged.
class LaneReader {
  public:
    explicit LaneReader(const LaneMapping& mapping)
        : header_(mapping.header()),
          ring_(mapping.ring()),
          mask_(mapping.ring_bytes() - 1),
          position_(header_->tail.load(std::memory_order_relaxed)) {}

    enum class Outcome : std::uint8_t {
        record,   ///< `payload` is set
        empty,    ///< nothing more yet
        damaged,  ///< bytes that are no record were skipped: at least one event is lost
    };
    /// The next record; its payload is valid until release().
    Outcome read(std::span<const std::byte>& payload);

    std::uint64_t position() const { return position_; }
    /// Gives everything before `position` back to the producer; the log holds it.
    void release(std::uint64_t position, std::uint64_t drops_reported, std::uint64_t seq_next) {
        header_->seq_next.store(seq_next, std::memory_order_relaxed);
        header_->drops_reported.store(drops_reported, std::memory_order_relaxed);
        header_->tail.store(position, std::memory_order_release);
    }
    /// After a recovery: the log may know more than the header.
    void skip_to(std::uint64_t position) { position_ = position; }
    std::uint64_t drops() const { return header_->drops.load(std::memory_order_acquire); }
    std::uint64_t records() const { return header_->records.load(std::memory_order_acquire); }
    std::uint64_t refusals() const { return header_->refusals.load(std::memory_order_relaxed); }
    bool is_empty() const {
        return header_->head.load(std::memory_order_acquire) == position_;
    }

  private:
    bool is_record(std::uint64_t position, std::uint64_t head) const;

    detail::LaneHeader* header_;
    std::byte* ring_;
    std::size_t mask_;
    std::uint64_t position_;
};

}  // namespace homeward
