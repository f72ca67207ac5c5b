#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "consumer/pull/batch_queue.hpp"

namespace homeward::consumer {

/// Checks the signatures of frames between the stream and the batch, off the writers' threads: one
/// costs some 70 µs. Messages leave it in any order; the ledger does not depend on one.
/// Holds no more messages than the puller has fetched.
class FrameVerifier {
  public:
    /// Called on one of our threads, with `sender` set. Must not block for long.
    using OnVerified = std::function<void(PulledMessage)>;

    explicit FrameVerifier(OnVerified on_verified);
    /// Waits for the checks in progress; passes nothing on afterwards.
    ~FrameVerifier();
    FrameVerifier(const FrameVerifier&) = delete;
    FrameVerifier& operator=(const FrameVerifier&) = delete;

    /// Whether the message's publisher id demands a signature. Looks at a few bytes.
    static bool is_needed(const Message& message);
    void push(PulledMessage pulled);
    /// Those that wait for their check.
    void for_each_waiting(const std::function<void(PulledMessage&)>& action);

  private:
    void run();

    OnVerified on_verified_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable pushed_;
    std::deque<PulledMessage> queue_;
    bool stopping_ = false;

    std::vector<std::thread> threads_;
};

}  // namespace homeward::consumer
