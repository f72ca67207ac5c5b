#include "consumer/pull/return_queue.hpp"

#include <utility>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Much less than any ack_wait.
constexpr auto kInterval = 100ms;

}  // namespace

ReturnQueue::ReturnQueue(NatsConnection& nats)
    : nats_(nats), thread_(start_thread("returns", [this] { run(); })) {}

ReturnQueue::~ReturnQueue() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void ReturnQueue::push(std::string reply, std::uint64_t deliveries) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(reply), deliveries});
    if (waiting_.size() == 1) changed_.notify_all();
}

void ReturnQueue::send(const std::vector<Returned>& all) {
    const auto now = ReturnSchedule::SteadyClock::now();
    for (const Returned& one : all) {
        // A bare NAK would bring it back at once.
        const std::chrono::nanoseconds delay = schedule_.place(one.deliveries, now);
        nats_.publish(one.reply, "-NAK {\"delay\": " + std::to_string(delay.count()) + "}");
    }
}

void ReturnQueue::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        const std::vector<Returned> all = std::exchange(waiting_, {});
        const bool is_last = stopping_;
        lock.unlock();
        send(all);
        lock.lock();
        if (is_last) return;
        changed_.wait_for(lock, kInterval, [this] { return stopping_; });
    }
}

}  // namespace homeward::consumer
