#include "publisher/cells/cell_layout.hpp"

#include <algorithm>
#include <limits>

namespace homeward {

std::string_view to_string(InstrumentKind kind) {
    switch (kind) {
        case InstrumentKind::counter:
            return "counter";
        case InstrumentKind::up_down_counter:
            return "up_down_counter";
        case InstrumentKind::gauge:
            return "gauge";
        case InstrumentKind::histogram:
            break;
    }
    return "histogram";
}

namespace detail {

void store_buckets(ReportedBuckets& to, const ExponentialBuckets& from) noexcept {
    to.scale = from.scale;
    to.zero_count = from.zero_count;
    for (std::size_t side = 0; side < to.halves.size(); ++side) {
        const ExponentialBuckets::Range& range = side == 0 ? from.positive : from.negative;
        to.halves[side].offset = range.offset;
        to.halves[side].size = static_cast<std::uint32_t>(range.counts.size());
        std::copy(range.counts.begin(), range.counts.end(), to.halves[side].counts.begin());
    }
}

ExponentialBuckets load_buckets(const ReportedBuckets& from) {
    ExponentialBuckets to;
    to.scale = static_cast<int>(from.scale);
    to.zero_count = from.zero_count;
    for (std::size_t side = 0; side < from.halves.size(); ++side) {
        ExponentialBuckets::Range& range = side == 0 ? to.positive : to.negative;
        const auto& half = from.halves[side];
        const std::size_t size = std::min<std::size_t>(half.size, half.counts.size());
        range.offset = half.offset;
        range.counts.assign(half.counts.begin(), half.counts.begin() + size);
    }
    return to;
}

void SeriesRecord::begin_report(const ReportedTotals& next,
                                const ExponentialBuckets& next_buckets) noexcept {
    const std::uint32_t other = (state.load(std::memory_order_relaxed) & 1) ^ 1;
    totals[other] = next;
    if (kind == InstrumentKind::histogram) store_buckets(buckets()[other], next_buckets);
    // The kernel sees a killed process's stores in the order in which it has executed them.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    state.store((other ^ 1) | 2, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

void SeriesRecord::end_report(bool is_made) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::uint32_t now = state.load(std::memory_order_relaxed) & 1;
    state.store(is_made ? now ^ 1 : now, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace detail
}  // namespace homeward
