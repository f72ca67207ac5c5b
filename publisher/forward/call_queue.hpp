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

/// One call that a server has accepted, and the reply subjects of its messages.
struct Job {
    using Clock = std::chrono::steady_clock;

    std::string region;
    std::string operation;
    std::string key;
    std::string body;
    Clock::time_point deadline;
    std::vector<std::string> replies;  ///< guarded by the queue until finish()
};

/// A bounded queue of jobs from NATS's threads to the workers. A message that was sent again joins
/// the job of its call, so a slow call occupies one worker however often it is sent; up to 1,000
/// are answered. Any thread.
class CallQueue {
  public:
    explicit CallQueue(std::size_t jobs_max) : jobs_max_(jobs_max) {}

    enum class Pushed : std::uint8_t { queued, joined, full, closed };
    Pushed push(std::shared_ptr<Job> job);
    /// Waits for a job; nullptr when the queue is closed and empty.
    std::shared_ptr<Job> pop();
    /// Removes the job and returns its reply subjects; a later message of its key is a new job.
    std::vector<std::string> finish(const Job& job);
    void close();
    /// Waits until every job is finished. False: not within `time`.
    bool wait_idle(std::chrono::milliseconds time);

    std::size_t queued() const;
    std::size_t running() const;

  private:
    /// Equal for the messages of one call.
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
