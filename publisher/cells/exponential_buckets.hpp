#pragma once

#include <cstdint>
#include <vector>

#include "publisher/cells/bucket_index.hpp"

namespace homeward {

/// A base-2 exponential histogram, as the OpenTelemetry data model defines it. Merging and
/// downscaling are exact: the result is what one histogram of all the values would be at that
/// scale. One thread.
struct ExponentialBuckets {
    struct Range {
        std::int32_t offset = 0;  ///< index of counts[0]
        std::vector<std::uint64_t> counts{};

        bool is_empty() const { return counts.empty(); }
        std::int32_t last() const { return offset + static_cast<std::int32_t>(counts.size()) - 1; }
        std::uint64_t total() const;
        /// Makes room for the index; the caller keeps the range within kBucketsMax.
        std::uint64_t& at(std::int32_t index);
        void downscale(int by);
        /// Removes empty buckets at both ends.
        void trim();
    };

    int scale = kScaleMax;
    std::uint64_t zero_count = 0;
    Range positive{};
    Range negative{};

    std::uint64_t count() const { return zero_count + positive.total() + negative.total(); }
    void downscale(int by);
    /// Adds all of the other's values; downscales until they fit.
    void merge(ExponentialBuckets other);
    /// Leaves what has come since `earlier`, of the same histogram.
    void subtract(ExponentialBuckets earlier);
};

}  // namespace homeward
