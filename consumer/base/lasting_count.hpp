#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace homeward::consumer {

/// A count that is only believed when it has been above zero without a break for some time. One
/// thread.
class LastingCount {
  public:
    using Time = std::chrono::steady_clock::time_point;
    explicit LastingCount(std::chrono::seconds patience) : patience_(patience) {}

    /// The least that was seen since it is above zero; 0 until that has lasted long enough.
    std::uint64_t observe(std::uint64_t count, Time now) {
        if (count == 0) {
            least_ = 0;
            return 0;
        }
        if (least_ == 0) since_ = now;
        least_ = least_ == 0 ? count : std::min(least_, count);
        return now - since_ >= patience_ ? least_ : 0;
    }

  private:
    std::chrono::seconds patience_;
    std::uint64_t least_ = 0;
    Time since_{};
};

}  // namespace homeward::consumer
