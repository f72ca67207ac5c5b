#include "publisher/cells/exponential_buckets.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

namespace homeward {
namespace {

/// Between the first and the last index that either has.
std::int32_t joint_span(const ExponentialBuckets::Range& a, const ExponentialBuckets::Range& b) {
    if (a.is_empty() || b.is_empty()) {
        return static_cast<std::int32_t>(std::max(a.counts.size(), b.counts.size()));
    }
    return std::max(a.last(), b.last()) - std::min(a.offset, b.offset) + 1;
}

void add(ExponentialBuckets::Range& to, const ExponentialBuckets::Range& from) {
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
        if (from.counts[i] == 0) continue;
        to.at(from.offset + static_cast<std::int32_t>(i)) += from.counts[i];
    }
}

void take(ExponentialBuckets::Range& from, const ExponentialBuckets::Range& earlier) {
    for (std::size_t i = 0; i < earlier.counts.size(); ++i) {
        if (earlier.counts[i] == 0) continue;
        std::uint64_t& now = from.at(earlier.offset + static_cast<std::int32_t>(i));
        assert(now >= earlier.counts[i]);
        now -= earlier.counts[i];
    }
    from.trim();
}

}  // namespace

std::uint64_t ExponentialBuckets::Range::total() const {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::uint64_t& ExponentialBuckets::Range::at(std::int32_t index) {
    if (is_empty()) offset = index;
    if (index < offset) {
        counts.insert(counts.begin(), static_cast<std::size_t>(offset - index), 0);
        offset = index;
    }
    if (index > last()) counts.resize(static_cast<std::size_t>(index - offset) + 1, 0);
    return counts[static_cast<std::size_t>(index - offset)];
}

void ExponentialBuckets::Range::downscale(int by) {
    Range coarse;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        coarse.at((offset + static_cast<std::int32_t>(i)) >> by) += counts[i];
    }
    *this = std::move(coarse);
}

void ExponentialBuckets::Range::trim() {
    const auto is_used = [](std::uint64_t count) { return count != 0; };
    const auto first = std::find_if(counts.begin(), counts.end(), is_used);
    offset += static_cast<std::int32_t>(first - counts.begin());
    counts.erase(counts.begin(), first);
    while (!counts.empty() && counts.back() == 0) counts.pop_back();
    if (counts.empty()) offset = 0;
}

void ExponentialBuckets::downscale(int by) {
    if (by == 0) return;
    positive.downscale(by);
    negative.downscale(by);
    scale -= by;
}

void ExponentialBuckets::merge(ExponentialBuckets other) {
    const int coarser = std::min(scale, other.scale);
    downscale(scale - coarser);
    other.downscale(other.scale - coarser);
    while (joint_span(positive, other.positive) > kBucketsMax ||
           joint_span(negative, other.negative) > kBucketsMax) {
        downscale(1);
        other.downscale(1);
    }
    add(positive, other.positive);
    add(negative, other.negative);
    zero_count += other.zero_count;
}

void ExponentialBuckets::subtract(ExponentialBuckets earlier) {
    assert(earlier.scale >= scale);  // a cell only grows coarser
    earlier.downscale(earlier.scale - scale);
    take(positive, earlier.positive);
    take(negative, earlier.negative);
    zero_count -= earlier.zero_count;
}

}  // namespace homeward
