#pragma once

#include <homeward/detail/metric_cells.hpp>

#include "publisher/cells/exponential_buckets.hpp"

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

/// Bounds for the extremes of values in these buckets, which are not empty: none is below, or
/// above.
double lowest(const ExponentialBuckets& buckets);
double highest(const ExponentialBuckets& buckets);

/// Reads a cell while its thread writes to it. One thread.
class HistogramReader {
  public:
    explicit HistogramReader(HistogramCell& cell) : cell_(cell) {}

    /// Each value is counted in exactly one delta. Of a value that is recorded during the call, sum
    /// and extremes may come with the next delta; in this one a bucket's bound is the extreme then.
    HistogramDelta take();
    /// Of a cell that a dead process left: everything. The extremes are those since the last
    /// take(); infinite if there are none.
    HistogramDelta left() const;

  private:
    ExponentialBuckets read() const;
    void take_extremes(HistogramDelta& delta);

    HistogramCell& cell_;
    ExponentialBuckets taken_{};
    double sum_taken_ = 0;
};

}  // namespace homeward::detail
