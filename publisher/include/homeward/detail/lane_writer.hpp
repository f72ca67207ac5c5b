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

/// A record's first eight bytes: its length, and the check of that and of its position; CRC-32C is
/// of its payload, too.
std::uint64_t record_prefix(LaneChecksum checksum, std::uint64_t position,
                            std::span<const std::byte> payload) noexcept;
inline std::uint64_t stamped_prefix(std::uint64_t position, std::size_t payload_bytes) noexcept {
    return payload_bytes | std::uint64_t{record_stamp(position, payload_bytes)} << 32;
}

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
class alignas(64) LaneWriter {
  public:
    /// `cell`: where the spool counts what is accepted here; nullptr: nowhere.
    LaneWriter(LaneHeader* header, std::byte* ring, bool shared, AcceptedCell* cell = nullptr)
        : header_(header),
          ring_(ring),
          mask_(header->superblock.ring_bytes - 1),
          head_(header->head.load(std::memory_order_relaxed)),
          tail_(header->tail.load(std::memory_order_acquire)),
          records_(header->records.load(std::memory_order_relaxed)),
          cell_(cell),
          shared_(shared),
          is_stamped_(header->superblock.record_checksum == LaneChecksum::stamp) {}

    std::size_t ring_bytes() const noexcept { return mask_ + 1; }
    /// Where the next record begins. Its thread; of no meaning in a shared lane.
    std::uint64_t head() const noexcept { return head_; }
    std::size_t record_bytes_max() const noexcept { return detail::record_bytes_max(mask_ + 1); }

    /// One record, whose payload `write(at)` writes. When this returns it is visible, and the death
    /// of the process does not lose it. False, and nothing written, when the ring has no room.
    template <typename Write>
    bool append(std::size_t payload_bytes, const Write& write) noexcept {
        const std::size_t span = record_span(payload_bytes);
        if (!has_room(span)) [[unlikely]]
            return false;
        std::byte* const record = ring_ + (head_ & mask_);
        prefetch_behind(record, span);
        // Without a stamp not in the ring: the checksum would read what has just been written
        // there, and wait for lines that the sender's processor still has.
        alignas(kRecordAlign) std::byte aside[kAsideBytesMax];
        const bool is_aside = !is_stamped_ && span <= kAsideBytesMax;
        std::byte* const at = is_aside ? aside : record;
        write(at + kRecordPrefixBytes);
        if (is_stamped_) [[likely]] {
            // One store, and behind the payload's: who finds it, finds the record whole.
            std::atomic_ref(*reinterpret_cast<std::uint64_t*>(record))
                .store(stamped_prefix(head_, payload_bytes), std::memory_order_release);
        } else {
            finish_checked(at, payload_bytes);
            if (is_aside) std::memcpy(record, aside, span);
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

    LaneChecksum checksum() const noexcept {
        return is_stamped_ ? LaneChecksum::stamp : LaneChecksum::crc32c;
    }

    LaneHeader* header_;
    std::byte* ring_;
    std::size_t mask_;

  private:
    friend class LaneUse;
    void count_in_spool(std::uint64_t records) noexcept;
    /// The prefix of a record with CRC-32C, and its pad.
    void finish_checked(std::byte* record, std::size_t payload_bytes) const noexcept;
    void prefetch_behind(const std::byte* record, std::size_t span) const noexcept {
        const std::byte* const line = record + kPrefetchBytes;
        prefetch_for_write(line);  // of nearly all records, and without a branch
        prefetch_for_write(line + 64);
        prefetch_for_write(line + 128);
        prefetch_for_write(line + 192);
        for (std::size_t more = 256; more < span; more += 64) prefetch_for_write(line + more);
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
    AcceptedCell* cell_;
    std::atomic<std::uint32_t> users_{0};
    bool shared_;
    bool is_stamped_;
};
static_assert(sizeof(LaneWriter) == 64, "an emit() reads one cache line of it");

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

/// While this thread emits an audit event that it will emit again if it finds no room: such an
/// attempt is no refusal.
inline constinit thread_local bool thread_retries_when_full = false;

}  // namespace homeward::detail
