#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <homeward/detail/clock.hpp>
#include <homeward/detail/lane_layout.hpp>
#include <homeward/record.hpp>

namespace homeward::detail {

/// CRC-32C of a record: position, length, payload.
std::uint32_t record_checksum(std::uint64_t position, const std::byte* payload,
                              std::size_t payload_bytes) noexcept;

/// The line will be written to. Not __builtin_prefetch(): for any x86-64 that only reads the line,
/// and the store then waits for it once more.
inline void prefetch_for_write(const void* line) noexcept {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
    __builtin_prefetch(line, 1);
#endif
}

struct AcceptedCell;
struct SharedLaneSeat;

/// The producer's end of a lane. One thread at a time, unless it is a SharedLaneWriter; the mapping
/// belongs to the publisher, which outlives every writer that a thread can still reach.
class LaneWriter {
  public:
    /// `cell`: where the spool counts what is accepted here; nullptr: nowhere.
    LaneWriter(LaneHeader* header, std::byte* ring, bool shared, AcceptedCell* cell = nullptr)
        : header_(header),
          ring_(ring),
          mask_(header->shape.ring_bytes - 1),
          head_(header->head.load(std::memory_order_relaxed)),
          tail_(header->tail.load(std::memory_order_acquire)),
          records_(header->records.load(std::memory_order_relaxed)),
          shared_(shared),
          cell_(cell) {}

    std::size_t ring_bytes() const noexcept { return mask_ + 1; }
    std::size_t record_bytes_max() const noexcept { return detail::record_bytes_max(mask_ + 1); }

    /// One record, whose payload `write(at)` writes. When this returns it is visible, and the death
    /// of the process does not lose it. False, and nothing written, when the ring has no room.
    template <typename Write>
    bool append(std::size_t payload_bytes, const Write& write) noexcept {
        const std::size_t span = record_span(payload_bytes);
        if (!has_room(span)) [[unlikely]]
            return false;
        std::byte* at = ring_ + (head_ & mask_);
        for (std::size_t line = 0; line < span; line += 64) {
            prefetch_for_write(at + kPrefetchBytes + line);
        }
        if (span <= kAsideBytesMax) [[likely]] {
            // Not in the ring: the checksum would read what has just been written there, and wait
            // for lines that the sender's processor still has.
            alignas(kRecordAlign) std::byte aside[kAsideBytesMax];
            std::memset(aside + span - kRecordAlign, 0, kRecordAlign);
            finish(aside, payload_bytes, write);
            std::memcpy(at, aside, span);
        } else {
            finish(at, payload_bytes, write);
        }
        make_visible(span, 1);
        return true;
    }

    /// Makes many records visible at once: all survive the death of the process, or none.
    /// `spans`: that many record spans, as in the ring but without checksums. False, and nothing
    /// written, when the ring has no room for all of them.
    bool append(std::span<const std::byte> spans, std::size_t records) noexcept;

    // Off the hot path; any thread.
    void count_drops(std::size_t events) noexcept;
    void count_refusals(std::size_t events) noexcept {
        header_->refusals.fetch_add(events, std::memory_order_relaxed);
    }

    bool is_shared() const noexcept { return shared_; }
    /// Whether a thread is inside a LaneUse. Any thread may ask.
    bool is_in_use() const noexcept { return users_.load(std::memory_order_acquire) != 0; }

  protected:
    /// Before records become visible: the run's count covers so many, or does so now.
    void count_first(std::uint64_t records) noexcept {
        if (records > header_->granted.load(std::memory_order_relaxed)) [[unlikely]] {
            count_in_spool(records);
        }
    }

    LaneHeader* header_;
    std::byte* ring_;
    std::size_t mask_;

  private:
    friend class LaneUse;
    void count_in_spool(std::uint64_t records) noexcept;
    template <typename Write>
    void finish(std::byte* record, std::size_t payload_bytes, const Write& write) noexcept {
        std::byte* payload = record + kRecordPrefixBytes;
        write(payload);
        put_raw(record, static_cast<std::uint32_t>(payload_bytes));
        put_raw(record + 4, record_checksum(head_, payload, payload_bytes));
    }
    void make_visible(std::size_t spans_bytes, std::size_t records) noexcept {
        count_first(records_ + records);
        head_ += spans_bytes;
        header_->head.store(head_, std::memory_order_release);
        // Counted second, so that a kill between the two never leaves a count without its event.
        records_ += records;
        header_->records.store(records_, std::memory_order_release);
    }
    bool has_room(std::size_t bytes) noexcept {
        if (head_ + bytes - tail_ <= mask_ + 1) [[likely]]
            return true;
        tail_ = header_->tail.load(std::memory_order_acquire);
        return head_ + bytes - tail_ <= mask_ + 1;
    }

    /// Far enough ahead to hide a cache miss behind a few calls; the mirror makes it always valid.
    static constexpr std::size_t kPrefetchBytes = 2048;
    /// Nearly all records; no more than a stack surely has.
    static constexpr std::size_t kAsideBytesMax = 512;

    std::uint64_t head_;
    std::uint64_t tail_;     // as last seen; the sender may be further
    std::uint64_t records_;  // not read from the header, whose line the sender may have
    bool shared_;
    AcceptedCell* cell_;
    std::atomic<std::uint32_t> users_{0};
};

/// Around what a thread does to a lane, so that close() can wait until nobody is at it. Whether the
/// publisher is closed must be asked inside: by then either close() sees the use, or the use sees
/// that it is closed. The order that this needs is close()'s to make (process_membarrier.hpp); here
/// two plain stores do.
class LaneUse {
  public:
    explicit LaneUse(LaneWriter& lane) noexcept : lane_(lane), shared_(lane.is_shared()) {
        if (shared_) {
            lane_.users_.fetch_add(1, std::memory_order_relaxed);
        } else {
            lane_.users_.store(1, std::memory_order_relaxed);
        }
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~LaneUse() {
        if (shared_) {
            lane_.users_.fetch_sub(1, std::memory_order_release);
        } else {
            lane_.users_.store(0, std::memory_order_release);
        }
    }
    LaneUse(const LaneUse&) = delete;
    LaneUse& operator=(const LaneUse&) = delete;

  private:
    LaneWriter& lane_;
    const bool shared_;
};

/// In place of a publisher's number once it is closed; no thread ever remembers it.
inline constexpr std::uint64_t kClosedOwner = UINT64_MAX - 1;

/// What a thread remembers of the publisher that it last emitted to, per class.
struct ThreadLane {
    /// The publisher's number, never given twice in a process. Zero is what a forked child reads.
    std::uint64_t owner = UINT64_MAX;
    LaneWriter* writer = nullptr;
    SharedLaneSeat* seat = nullptr;  ///< of a shared lane
    /// Types that the spool already describes; round robin, since most threads emit a few types.
    std::array<const TypeDescriptor*, 4> known{};
    std::uint8_t next_known = 0;

    bool knows(const TypeDescriptor* descriptor) const noexcept {
        return known[0] == descriptor || known[1] == descriptor || known[2] == descriptor ||
               known[3] == descriptor;
    }
};

// Trivial to make and destroy, so that reading it costs no guard.
inline constinit thread_local std::array<ThreadLane, 2> thread_lanes{};

}  // namespace homeward::detail
