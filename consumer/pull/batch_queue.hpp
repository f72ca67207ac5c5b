#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <vector>

#include "consumer/nats/pulled_message.hpp"

namespace homeward::consumer {

/// What makes a batch; see Config::Batch.
struct BatchBounds {
    std::size_t events_max;
    std::size_t bytes_max;            ///< of bodies
    std::chrono::milliseconds delay;  ///< how long the oldest waits for company
    bool is_adaptive = false;         ///< no longer than transactions take; see BatchQueue
};

/// Messages that wait for a writer, and the one rule of what is a batch: all that has arrived when
/// it is full or due. The delay adapts to the load, as in a group commit: batches that are not full
/// begin twice the mean time of a transaction apart, so the leader is idle for half of the time at
/// least, and what comes after a pause waits for nothing. Slower transactions make fewer and larger
/// batches, up to the delay that is wanted. No lock of its own: its owner has one.
class BatchQueue {
  public:
    using SteadyClock = std::chrono::steady_clock;
    /// Weighs it, too.
    void push(PulledMessage pulled);
    /// At least one message, however large. Precondition: not empty.
    std::vector<PulledMessage> take(const BatchBounds& bounds,
                                    SteadyClock::time_point now = SteadyClock::now());

    bool empty() const { return queue_.empty(); }
    std::size_t size() const { return queue_.size(); }
    bool is_full(const BatchBounds& bounds) const {
        return events_ >= bounds.events_max || bytes_ >= bounds.bytes_max;
    }
    /// When the oldest has waited long enough.
    SteadyClock::time_point due(const BatchBounds& bounds) const {
        const auto latest = queue_.front().arrived + bounds.delay;
        return bounds.is_adaptive ? std::min(latest, taken_ + 2 * mean_time_) : latest;
    }
    /// What one batch took from take() until it was committed.
    void note_time(SteadyClock::duration took) {
        constexpr int kMeanOver = 4;
        mean_time_ += (took - mean_time_) / kMeanOver;
    }
    std::deque<PulledMessage>& messages() { return queue_; }

  private:
    std::deque<PulledMessage> queue_;
    std::size_t events_ = 0;
    std::size_t bytes_ = 0;            // of bodies
    SteadyClock::time_point taken_{};  // the last batch
    SteadyClock::duration mean_time_{0};
};

}  // namespace homeward::consumer
