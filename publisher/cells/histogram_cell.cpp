#include <algorithm>
#include <cmath>
#include <limits>

#include "publisher/cells/histogram_reader.hpp"

namespace homeward::detail {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// By the cell's thread alone.
void add_to(std::atomic<std::uint64_t>& count, std::uint64_t value) noexcept {
    count.store(count.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

/// The reader takes extremes away, so a plain store could bring back what it has taken.
template <typename IsBetter>
void improve(std::atomic<double>& extreme, double value, IsBetter is_better) noexcept {
    double now = extreme.load(std::memory_order_relaxed);
    while (is_better(value, now) &&
           !extreme.compare_exchange_weak(now, value, std::memory_order_relaxed)) {
    }
}

}  // namespace

double lowest(const ExponentialBuckets& buckets) {
    if (!buckets.negative.is_empty()) {
        return -bucket_lower_bound(buckets.negative.last(), buckets.scale);
    }
    if (buckets.zero_count > 0) return 0;
    return bucket_upper_bound(buckets.positive.offset, buckets.scale);
}

double highest(const ExponentialBuckets& buckets) {
    if (!buckets.positive.is_empty()) {
        return bucket_lower_bound(buckets.positive.last(), buckets.scale);
    }
    if (buckets.zero_count > 0) return 0;
    return -bucket_upper_bound(buckets.negative.offset, buckets.scale);
}

bool HistogramCell::record(double value) noexcept {
    const std::uint64_t records = records_.load(std::memory_order_relaxed);
    const double sum = sums_[records & 1].load(std::memory_order_relaxed) + value;
    // False for NaN, too.
    if (!(std::abs(sum) <= std::numeric_limits<double>::max())) [[unlikely]]
        return false;
    sums_[(records + 1) & 1].store(sum, std::memory_order_relaxed);
    // Of the compiler alone: a kill cannot come between what one instruction does.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (value == 0) {
        add_to(zeros_, 1);
    } else {
        count(std::abs(value), value < 0);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    records_.store(records + 1, std::memory_order_release);
    improve(min_, value, [](double a, double b) { return a < b; });
    improve(max_, value, [](double a, double b) { return a > b; });
    return true;
}

void HistogramCell::count(double magnitude, bool is_negative) noexcept {
    static_assert(kScaleFirst == kScaleMax && kSlots > kBucketsMax);
    Buckets& buckets = buckets_[version_.load(std::memory_order_relaxed) & 1];
    Half& half = buckets.halves[is_negative ? 1 : 0];
    const std::int32_t finest = bucket_index(magnitude);
    const std::int32_t index =
        finest >> (kScaleMax - buckets.scale.load(std::memory_order_relaxed));
    if (index < half.first.load(std::memory_order_relaxed) ||
        index > half.last.load(std::memory_order_relaxed)) [[unlikely]] {
        return count_outside(finest, is_negative);
    }
    add_to(half.counts[static_cast<std::uint32_t>(index) % kSlots], 1);
}

void HistogramCell::count_outside(std::int32_t finest_index, bool is_negative) noexcept {
    for (;;) {
        Buckets& buckets = buckets_[version_.load(std::memory_order_relaxed) & 1];
        Half& half = buckets.halves[is_negative ? 1 : 0];
        const std::int32_t shift = kScaleMax - buckets.scale.load(std::memory_order_relaxed);
        const std::int32_t index = finest_index >> shift;
        std::int32_t first = std::min(half.first.load(std::memory_order_relaxed), index);
        std::int32_t last = std::max(half.last.load(std::memory_order_relaxed), index);
        if (last - first < kBucketsMax) {
            half.first.store(first, std::memory_order_relaxed);
            half.last.store(last, std::memory_order_relaxed);
            add_to(half.counts[static_cast<std::uint32_t>(index) % kSlots], 1);
            return;
        }
        std::int32_t by = 0;
        for (; last - first >= kBucketsMax; ++by, first >>= 1, last >>= 1) {
        }
        rescale(by);
    }
}

void HistogramCell::rescale(std::int32_t by) noexcept {
    const std::uint32_t version = version_.load(std::memory_order_relaxed);
    const Buckets& from = buckets_[version & 1];
    Buckets& to = buckets_[(version + 1) & 1];
    for (std::size_t side = 0; side < to.halves.size(); ++side) {
        const Half& old = from.halves[side];
        Half& coarse = to.halves[side];
        const std::int32_t first = old.first.load(std::memory_order_relaxed);
        const std::int32_t last = old.last.load(std::memory_order_relaxed);
        // Released, so that a reader of an older version who sees one of these also sees that the
        // version is no longer its own.
        for (auto& count : coarse.counts) count.store(0, std::memory_order_release);
        coarse.first.store(first > last ? first : first >> by, std::memory_order_release);
        coarse.last.store(first > last ? last : last >> by, std::memory_order_release);
        for (std::int32_t index = first; index <= last; ++index) {
            auto& count = coarse.counts[static_cast<std::uint32_t>(index >> by) % kSlots];
            count.store(count.load(std::memory_order_relaxed) +
                            old.counts[static_cast<std::uint32_t>(index) % kSlots].load(
                                std::memory_order_relaxed),
                        std::memory_order_release);
        }
    }
    to.scale.store(from.scale.load(std::memory_order_relaxed) - by, std::memory_order_release);
    version_.store(version + 1, std::memory_order_release);
}

ExponentialBuckets HistogramReader::read() const {
    for (;;) {
        ExponentialBuckets result;
        const std::uint32_t version = cell_.version_.load(std::memory_order_acquire);
        const auto& buckets = cell_.buckets_[version & 1];
        result.scale = buckets.scale.load(std::memory_order_acquire);
        for (std::size_t side = 0; side < buckets.halves.size(); ++side) {
            const auto& half = buckets.halves[side];
            const std::int32_t first = half.first.load(std::memory_order_acquire);
            const std::int32_t last = half.last.load(std::memory_order_acquire);
            if (last < first || last - first >= kBucketsMax) continue;  // empty, or of two versions
            ExponentialBuckets::Range& range = side == 0 ? result.positive : result.negative;
            for (std::int32_t index = first; index <= last; ++index) {
                range.at(index) =
                    half.counts[static_cast<std::uint32_t>(index) % HistogramCell::kSlots].load(
                        std::memory_order_acquire);
            }
        }
        if (cell_.version_.load(std::memory_order_acquire) != version) continue;
        result.zero_count = cell_.zeros_.load(std::memory_order_relaxed);
        return result;
    }
}

HistogramDelta HistogramReader::take() {
    HistogramDelta delta;
    const ExponentialBuckets now = read();
    delta.buckets = now;
    delta.buckets.subtract(taken_);
    taken_ = now;
    const std::uint64_t records = cell_.records_.load(std::memory_order_acquire);
    const double sum = cell_.sums_[records & 1].load(std::memory_order_relaxed);
    delta.sum = sum - sum_taken_;
    sum_taken_ = sum;
    if (delta.buckets.count() > 0) take_extremes(delta);
    return delta;
}

HistogramDelta HistogramReader::left() const {
    HistogramDelta totals;
    totals.buckets = read();
    totals.sum = cell_.sums_[totals.buckets.count() & 1].load(std::memory_order_relaxed);
    totals.min = cell_.min_.load(std::memory_order_relaxed);
    totals.max = cell_.max_.load(std::memory_order_relaxed);
    return totals;
}

void HistogramReader::take_extremes(HistogramDelta& delta) {
    delta.min = cell_.min_.exchange(kInfinity, std::memory_order_relaxed);
    delta.max = cell_.max_.exchange(-kInfinity, std::memory_order_relaxed);
    // Of a value that was recorded while the last delta was taken, they may lie in that.
    delta.min = std::min(delta.min, lowest(delta.buckets));
    delta.max = std::max(delta.max, highest(delta.buckets));
}

}  // namespace homeward::detail
