#pragma once

// The many producers' end of a shared lane (lane_layout.hpp), as Aeron's many-to-one ring buffer
// has it: a producer reserves a place by moving head, writes, and publishes by one store. Between
// the two
//   - a process that is killed leaves a hole, which whoever reads the lane skips: emit() had not
//     returned, so nothing that it accepted is lost;
//   - a thread that the kernel has stopped holds the sender up at its place, and loses nothing;
//   - a thread that ends (it was cancelled) has left its seat behind, which names its place: the
//     sender skips that.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <homeward/detail/lane_writer.hpp>

namespace homeward::detail {

/// Of all but the first of records that become visible together.
constexpr std::uint64_t kFollowerMask = std::uint64_t{UINT32_MAX} << 32;

/// What one thread is doing in a shared lane. Written by the thread, read by the sender.
struct alignas(64) SharedLaneSeat {
    static constexpr std::uint64_t kIdle = UINT64_MAX;
    /// Where it reserves, or has reserved and not yet published.
    std::atomic<std::uint64_t> position{kIdle};
    std::atomic<std::uint64_t> span{0};
    std::atomic<bool> has_reserved{false};
    std::atomic<bool> is_in_use{false};  ///< by its thread's SharedLaneUse
};

/// The seats of one shared lane. Any thread.
class SharedLaneSeats {
  public:
    /// Allocates.
    SharedLaneSeat* take();
    /// By the thread that has it, at its end.
    void release(SharedLaneSeat* seat) noexcept;
    std::size_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
    /// Whether a thread is inside a SharedLaneUse with one of them.
    bool is_any_in_use() noexcept;

    /// LaneDrainer: bytes that a thread reserved at `position` before it ended; 0 if none did, or
    /// if a living one might still publish there. Cheap while no thread ended so.
    std::uint64_t abandoned_at(std::uint64_t position) noexcept;

  private:
    std::mutex mutex_;  // guards what follows
    std::vector<std::unique_ptr<SharedLaneSeat>> seats_;
    std::vector<std::unique_ptr<SharedLaneSeat>> abandoned_;
    std::atomic<std::size_t> taken_{0};
    std::atomic<bool> has_abandoned_{false};
};

/// Any number of threads, each with a seat of its own; lock-free. nullptr instead of a seat is for
/// threads that are at their end.
class SharedLaneWriter : public LaneWriter {
  public:
    SharedLaneWriter(LaneHeader* header, std::byte* ring, AcceptedCell* cell = nullptr)
        : LaneWriter(header, ring, true, cell) {}

    /// As LaneWriter::append().
    template <typename Write>
    bool append(std::size_t payload_bytes, const Write& write, SharedLaneSeat* seat) noexcept {
        // Other threads, and the sender that zeroes the ring, have left these lines with another
        // processor. They are fetched while the record is written.
        prefetch_for_write(&header_->head);
        // Written before there is a place for it, if it is small: the others wait less long.
        alignas(kRecordAlign) std::byte copy[kCopyBytesMax];
        const bool is_small = payload_bytes <= kCopyBytesMax;
        if (is_small) write(copy);
        const std::size_t span = record_span(payload_bytes);
        prefetch_place(span);
        const auto position = reserve(span, 1, seat);
        if (!position) return false;
        std::byte* payload = ring_ + (*position & mask_) + kRecordPrefixBytes;  // mapped twice
        if (!is_small) write(payload);
        const std::byte* written = is_small ? copy : payload;
        const std::uint64_t prefix = record_prefix(checksum(), *position, {written, payload_bytes});
        if (is_small) std::memcpy(payload, copy, payload_bytes);
        publish(*position, prefix, 1, seat);
        return true;
    }
    /// As LaneWriter::append() of spans.
    bool append(std::span<const std::byte> spans, std::size_t records,
                SharedLaneSeat* seat) noexcept;

    /// The two halves of append(): the position of `span` bytes that are the caller's until it
    /// publishes what it has written there; nullopt: no room.
    std::optional<std::uint64_t> reserve(std::size_t span, std::size_t records,
                                         SharedLaneSeat* seat) noexcept;
    void publish(std::uint64_t position, std::uint64_t prefix, std::size_t records,
                 SharedLaneSeat* seat) noexcept;

  private:
    static constexpr std::size_t kCopyBytesMax = 512;

    /// Where reserve() will find room, unless another thread comes first.
    void prefetch_place(std::size_t span) const noexcept {
        const std::byte* place = ring_ + (header_->head.load(std::memory_order_relaxed) & mask_);
        const std::size_t bytes = span < kCopyBytesMax ? span : kCopyBytesMax;
        for (std::size_t line = 0; line < bytes; line += 64) prefetch_for_write(place + line);
    }
};

/// As LaneUse. A thread with a seat says so there, in a line of its own; one without counts itself.
class SharedLaneUse {
  public:
    SharedLaneUse(SharedLaneWriter& lane, SharedLaneSeat* seat) noexcept : seat_(seat) {
        if (seat_ == nullptr) {
            counted_.emplace(lane);
        } else {
            seat_->is_in_use.store(true, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
    }
    ~SharedLaneUse() {
        if (seat_ != nullptr) seat_->is_in_use.store(false, std::memory_order_release);
    }
    SharedLaneUse(const SharedLaneUse&) = delete;
    SharedLaneUse& operator=(const SharedLaneUse&) = delete;

  private:
    SharedLaneSeat* seat_;
    std::optional<LaneUse> counted_;
};

}  // namespace homeward::detail
