#pragma once

#include <chrono>
#include <cstddef>

namespace homeward {

/// When a frame that is not full leaves. An event after a silence leaves at once, and few events,
/// which would hardly make a frame worth compressing, leave every half linger. More wait the whole
/// of it, so that a busy origin's frames are as full as ever.
class AdaptiveLinger {
  public:
    using Time = std::chrono::steady_clock::time_point;
    /// Some 20 events: at that rate, 4,000 a second, a frame of the whole linger has twice as many.
    static constexpr std::size_t kFewBytes = 4u << 10;

    explicit AdaptiveLinger(std::chrono::milliseconds most) : most_(most) {}

    struct Waiting {
        Time since;         ///< the first event of the frame was read from its lane
        Time last_cut;      ///< the frame before left
        std::size_t bytes;  ///< of the frame's body so far
    };
    bool is_due(Time now, const Waiting& waiting) const {
        if (now - waiting.since >= most_) return true;
        return waiting.bytes < kFewBytes && now - waiting.last_cut >= most_ / 2;
    }

  private:
    std::chrono::milliseconds most_;
};

}  // namespace homeward
