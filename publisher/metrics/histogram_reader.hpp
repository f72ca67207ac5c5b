#pragma once

#include <homeward/detail/metric_cells.hpp>

#include "publisher/metrics/exponential_buckets.hpp"

namespace homeward {

/// What a cell has counted since the last call. The reporting thread's own, one for each cell.
struct HistogramDelta {
    ExponentialBuckets buckets{};
    double sum = 0;
    double min = 0;  ///< of no meaning when the buckets are empty
    double max = 0;
};

}  // namespace homeward

namespace homeward::detail {

/// Reads a cell while its thread writes to it. One thread.
class HistogramReader {
  public:
    explicit HistogramReader(HistogramCell& cell) : cell_(cell) {}

    /// Each value is counted in exactly one delta. Of a value that is recorded during the call, sum
    /// and extremes may come with the next delta; in this one a bucket's bound is the extreme then.
    HistogramDelta take();

  private:
    ExponentialBuckets read() const;
    void take_extremes(HistogramDelta& delta);

    HistogramCell& cell_;
    ExponentialBuckets taken_{};
    double sum_taken_ = 0;
};

}  // namespace homeward::detail
