#pragma once

#include <cstdint>

namespace homeward {

/// The finest scale: 256 buckets per power of two, so 160 of them span a factor of 1.54.
inline constexpr int kScaleMax = 8;
/// Of one sign.
inline constexpr std::int32_t kBucketsMax = 160;

/// The bucket of a finite value above zero at kScaleMax: i where base^i < value <= base^(i+1).
/// Exact for every double. At a coarser scale it is this, shifted right by the difference.
std::int32_t bucket_index(double value) noexcept;

/// The upper bound of a bucket: base^(index+1), rounded to a double.
double bucket_upper_bound(std::int32_t index, int scale) noexcept;
/// The lower bound, which belongs to the bucket below.
double bucket_lower_bound(std::int32_t index, int scale) noexcept;

}  // namespace homeward
