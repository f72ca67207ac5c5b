#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <vector>

#include "consumer/message.hpp"
#include "consumer/stream.hpp"
#include "schemas/wire/frame_signature.hpp"

namespace homeward::consumer {

/// A message with the stream it came from.
struct Pulled {
    Message message;
    const Stream* stream = nullptr;  ///< owned by the puller
    std::chrono::steady_clock::time_point arrived;
    std::chrono::steady_clock::time_point touched;  ///< arrived, or last spoken for
    /// What it will be in a transaction, as far as can be told unopened.
    std::size_t events = 1;
    std::size_t body_bytes = 0;
    FrameOrigin sender = FrameOrigin::unclaimed;  ///< by FrameVerifier, where it is needed
};

/// What makes a batch; see Config::Batch.
struct BatchWant {
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
    void push(Pulled pulled);
    /// At least one message, however large. Precondition: not empty.
    std::vector<Pulled> take(const BatchWant& want);

    bool empty() const { return queue_.empty(); }
    std::size_t size() const { return queue_.size(); }
    bool is_full(const BatchWant& want) const {
        return events_ >= want.events_max || bytes_ >= want.bytes_max;
    }
    /// When the oldest has waited long enough.
    SteadyClock::time_point due(const BatchWant& want) const {
        const auto latest = queue_.front().arrived + want.delay;
        return want.is_adaptive ? std::min(latest, taken_ + 2 * mean_time_) : latest;
    }
    /// What one batch took from take() until it was committed.
    void note_time(SteadyClock::duration took) {
        constexpr int kMeanOver = 4;
        mean_time_ += (took - mean_time_) / kMeanOver;
    }
    std::deque<Pulled>& messages() { return queue_; }

  private:
    std::deque<Pulled> queue_;
    std::size_t events_ = 0;
    std::size_t bytes_ = 0;            // of bodies
    SteadyClock::time_point taken_{};  // the last batch
    SteadyClock::duration mean_time_{0};
};

}  // namespace homeward::consumer
