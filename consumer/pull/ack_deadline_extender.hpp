#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "consumer/nats/nats_connection.hpp"

namespace homeward::consumer {

/// The messages that writers have in hand. Tells their streams that they are still being worked
/// on, long before they would be delivered to another, however long a transaction or a pause takes.
/// Any thread; has one of its own.
class AckDeadlineExtender {
  public:
    using SteadyClock = std::chrono::steady_clock;
    /// Ack subjects of messages of one batch.
    using Replies = std::vector<std::string>;

    /// `ack_wait`: the shortest of all durables.
    AckDeadlineExtender(NatsConnection& nats, std::chrono::milliseconds ack_wait);
    ~AckDeadlineExtender();

    struct Held {
        Replies replies;
        SteadyClock::time_point touched;  ///< delivered, or last spoken for
    };
    using Ticket = std::list<Held>::iterator;
    /// `delivered`: when the oldest of them came.
    Ticket hold(Replies replies, SteadyClock::time_point delivered);
    /// They are spoken for no more. Each ticket exactly once.
    Replies release(Ticket ticket);
    /// Somebody has changed a durable.
    void set_ack_wait(std::chrono::milliseconds ack_wait);

    /// How often a message must be spoken for.
    static std::chrono::milliseconds interval(std::chrono::milliseconds ack_wait) {
        return ack_wait / 3;
    }

  private:
    void run();

    NatsConnection& nats_;

    std::mutex mutex_;  // guards what follows
    std::chrono::milliseconds interval_;
    std::condition_variable stop_;
    std::list<Held> held_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
