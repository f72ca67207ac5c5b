#pragma once

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
};

/// Messages that wait for a writer, and the one rule of what is a batch. No lock of its own: its
/// owner has one.
class BatchQueue {
  public:
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
    std::chrono::steady_clock::time_point due(const BatchWant& want) const {
        return queue_.front().arrived + want.delay;
    }
    std::deque<Pulled>& messages() { return queue_; }

  private:
    std::deque<Pulled> queue_;
    std::size_t events_ = 0;
    std::size_t bytes_ = 0;  // of bodies
};

}  // namespace homeward::consumer
