#include "publisher/buffer/shared_lane.hpp"

#include <algorithm>
#include <cstring>

namespace homeward::detail {
namespace {

/// An atomic in a mapped ring, at a multiple of 16.
std::atomic_ref<std::uint64_t> prefix_at(std::byte* at) {
    return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(at));
}

}  // namespace

SharedLaneSeat* SharedLaneSeats::take() {
    const std::lock_guard lock(mutex_);
    seats_.push_back(std::make_unique<SharedLaneSeat>());
    taken_ = seats_.size();
    return seats_.back().get();
}

void SharedLaneSeats::release(SharedLaneSeat* seat) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(seats_.begin(), seats_.end(),
                                    [&](const auto& one) { return one.get() == seat; });
    if (found == seats_.end()) return;
    if (seat->position.load(std::memory_order_acquire) != SharedLaneSeat::kIdle) {
        abandoned_.push_back(std::move(*found));
        has_abandoned_.store(true, std::memory_order_release);
    }
    *found = std::move(seats_.back());
    seats_.pop_back();
    taken_ = seats_.size();
}

bool SharedLaneSeats::is_any_in_use() noexcept {
    const std::lock_guard lock(mutex_);
    return std::any_of(seats_.begin(), seats_.end(), [](const auto& seat) {
        return seat->is_in_use.load(std::memory_order_acquire);
    });
}

std::uint64_t SharedLaneSeats::abandoned_at(std::uint64_t position) noexcept {
    if (!has_abandoned_.load(std::memory_order_acquire)) return 0;
    const std::lock_guard lock(mutex_);
    const auto is_here = [position](const auto& seat) {
        return seat->position.load(std::memory_order_acquire) == position;
    };
    if (std::any_of(seats_.begin(), seats_.end(), is_here)) return 0;
    // Several may have tried here, of which one got it.
    auto found = std::find_if(abandoned_.begin(), abandoned_.end(), [&](const auto& seat) {
        return is_here(seat) && seat->has_reserved.load(std::memory_order_acquire);
    });
    if (found == abandoned_.end()) {
        if (std::count_if(abandoned_.begin(), abandoned_.end(), is_here) != 1) return 0;
        found = std::find_if(abandoned_.begin(), abandoned_.end(), is_here);
    }
    const std::uint64_t span = (*found)->span.load(std::memory_order_relaxed);
    std::erase_if(abandoned_, is_here);
    has_abandoned_.store(!abandoned_.empty(), std::memory_order_release);
    return span;
}

std::optional<std::uint64_t> SharedLaneWriter::reserve(std::size_t span, std::size_t records,
                                                       SharedLaneSeat* seat) noexcept {
    for (;;) {
        // In this order, or the tail might be beyond the head.
        const std::uint64_t tail = header_->tail.load(std::memory_order_acquire);
        std::uint64_t head = header_->head.load(std::memory_order_acquire);
        if (head + span - tail > mask_ + 1) {
            if (seat != nullptr) seat->position.store(SharedLaneSeat::kIdle);
            return std::nullopt;
        }
        if (seat != nullptr) {
            seat->span.store(span, std::memory_order_relaxed);
            seat->position.store(head, std::memory_order_relaxed);
        }
        if (!header_->head.compare_exchange_weak(head, head + span, std::memory_order_acq_rel)) {
            continue;
        }
        if (seat != nullptr) seat->has_reserved.store(true, std::memory_order_relaxed);
        count_first(header_->begun.fetch_add(records, std::memory_order_relaxed) + records);
        return head;
    }
}

void SharedLaneWriter::publish(std::uint64_t position, std::uint64_t prefix, std::size_t records,
                               SharedLaneSeat* seat) noexcept {
    prefix_at(ring_ + (position & mask_)).store(prefix, std::memory_order_release);
    // Counted second, so that a kill between the two never leaves a count without its event.
    header_->records.fetch_add(records, std::memory_order_release);
    if (seat != nullptr) {
        seat->has_reserved.store(false, std::memory_order_relaxed);
        seat->position.store(SharedLaneSeat::kIdle, std::memory_order_release);
    }
}

bool SharedLaneWriter::append(std::span<const std::byte> spans, std::size_t records,
                              SharedLaneSeat* seat) noexcept {
    const auto position = reserve(spans.size(), records, seat);
    if (!position) return false;
    std::byte* at = ring_ + (*position & mask_);
    std::uint64_t first_prefix = 0;
    for (std::size_t offset = 0; offset < spans.size();) {
        std::uint32_t payload_bytes;
        std::memcpy(&payload_bytes, spans.data() + offset, sizeof payload_bytes);
        const auto payload = spans.subspan(offset + kRecordPrefixBytes, payload_bytes);
        const std::uint64_t prefix = record_prefix(checksum(), *position + offset, payload);
        std::memcpy(at + offset + kRecordPrefixBytes, payload.data(), payload.size());
        if (offset == 0) {
            first_prefix = prefix;
        } else {
            const std::uint64_t marked = prefix ^ kFollowerMask;
            std::memcpy(at + offset, &marked, sizeof marked);
        }
        offset += record_span(payload_bytes);
    }
    publish(*position, first_prefix, records, seat);
    return true;
}

}  // namespace homeward::detail
