#include "publisher/forward/call_queue.hpp"

#include <algorithm>

namespace homeward::forward {
namespace {

/// A client sends a call some twenty times within the longest deadline.
constexpr std::size_t kRepliesMax = 1'000;

}  // namespace

CallQueue::Pushed CallQueue::push(std::shared_ptr<Job> job) {
    {
        const std::lock_guard lock(mutex_);
        if (is_closed_) return Pushed::closed;
        const auto found = known_.find({job->operation, job->key});
        // Another body is another call, which the first one's key refuses.
        if (found != known_.end() && found->second->body == job->body) {
            Job& known = *found->second;
            if (known.replies.size() >= kRepliesMax) return Pushed::full;
            known.replies.insert(known.replies.end(), job->replies.begin(), job->replies.end());
            return Pushed::joined;
        }
        if (jobs_.size() >= jobs_max_) return Pushed::full;
        known_.emplace(Identity{job->operation, job->key}, job);
        jobs_.push_back(std::move(job));
    }
    pushed_.notify_one();
    return Pushed::queued;
}

std::shared_ptr<Job> CallQueue::pop() {
    std::unique_lock lock(mutex_);
    pushed_.wait(lock, [this] { return is_closed_ || !jobs_.empty(); });
    if (jobs_.empty()) return nullptr;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    ++running_;
    return job;
}

std::vector<std::string> CallQueue::finish(const Job& job) {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find({job.operation, job.key});
    if (found != known_.end() && found->second.get() == &job) known_.erase(found);
    --running_;
    if (running_ == 0 && jobs_.empty()) finished_.notify_all();
    return job.replies;
}

void CallQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
    }
    pushed_.notify_all();
}

bool CallQueue::wait_idle(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return finished_.wait_for(lock, time, [this] { return running_ == 0 && jobs_.empty(); });
}

std::size_t CallQueue::queued() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
}

std::size_t CallQueue::running() const {
    const std::lock_guard lock(mutex_);
    return running_;
}

}  // namespace homeward::forward
