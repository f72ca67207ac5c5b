#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "publisher/forward/call_wire.hpp"

namespace homeward::forward {

/// One call that a server has taken, and everybody who waits for its answer.
struct Job {
    using Clock = std::chrono::steady_clock;

    std::string region;
    std::string operation;
    std::string key;
    std::string body;
    Clock::time_point deadline;
    std::vector<std::string> replies;  ///< the queue's, until finish()
};

/// Jobs between NATS's threads and the workers: bounded, and a message that was sent again joins
/// the job that is there for it, so that a slow call takes one worker, however often it is sent.
/// Any thread.
class CallQueue {
  public:
    explicit CallQueue(std::size_t jobs_max) : jobs_max_(jobs_max) {}

    enum class Pushed : std::uint8_t { queued, joined, full, closed };
    Pushed push(std::shared_ptr<Job> job);
    /// Waits for one; nullptr when the queue is closed and empty.
    std::shared_ptr<Job> pop();
    /// Whom to answer; later messages of the same key become jobs of their own.
    std::vector<std::string> finish(const Job& job);
    void close();
    /// Waits until every job is finished.
    bool wait_idle(std::chrono::milliseconds time);

    std::size_t queued() const;
    std::size_t running() const;

  private:
    /// By it two messages are of one call.
    using Identity = std::pair<std::string, std::string>;  // operation, key

    const std::size_t jobs_max_;
    mutable std::mutex mutex_;
    std::condition_variable pushed_;
    std::condition_variable finished_;
    bool is_closed_ = false;
    std::deque<std::shared_ptr<Job>> jobs_;
    std::map<Identity, std::shared_ptr<Job>> known_;  // queued or running
    std::size_t running_ = 0;
};

}  // namespace homeward::forward
