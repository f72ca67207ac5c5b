#include "consumer/pull/ack_deadline_extender.hpp"

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {

AckDeadlineExtender::AckDeadlineExtender(NatsConnection& nats, std::chrono::milliseconds ack_wait)
    : nats_(nats),
      interval_(interval(ack_wait)),
      thread_(start_thread("ack keeper", [this] { run(); })) {}

AckDeadlineExtender::~AckDeadlineExtender() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

AckDeadlineExtender::Ticket AckDeadlineExtender::hold(Replies replies,
                                                      SteadyClock::time_point delivered) {
    const std::lock_guard lock(mutex_);
    return held_.insert(held_.end(), {std::move(replies), delivered});
}

AckDeadlineExtender::Replies AckDeadlineExtender::release(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    Replies replies = std::move(ticket->replies);
    held_.erase(ticket);
    return replies;
}

void AckDeadlineExtender::set_ack_wait(std::chrono::milliseconds ack_wait) {
    const std::lock_guard lock(mutex_);
    interval_ = interval(ack_wait);
}

void AckDeadlineExtender::run() {
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, interval_ / 4, [this] { return stopping_; })) {
        const auto now = SteadyClock::now();
        for (Held& held : held_) {
            if (now - held.touched < interval_) continue;
            for (const std::string& reply : held.replies) nats_.publish(reply, "+WPI");
            held.touched = now;
        }
    }
}

}  // namespace homeward::consumer
