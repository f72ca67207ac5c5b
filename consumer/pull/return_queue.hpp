#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "consumer/nats/nats_connection.hpp"
#include "consumer/pull/return_schedule.hpp"

namespace homeward::consumer {

/// Messages on their way back to their streams, each to come again when its schedule says. Any
/// thread; has one of its own, which sends them together every 100 ms. nats-server 2.9 looks for
/// messages that are due 10 ms after the last NAK, so while NAKs come one after the other, no
/// message comes again, and then all do at once.
class ReturnQueue {
  public:
    explicit ReturnQueue(NatsConnection& nats);
    ~ReturnQueue();  // sends what is left

    /// `reply`: its ack subject. `deliveries`: how often it was delivered so far.
    void push(std::string reply, std::uint64_t deliveries);
    ReturnSchedule& schedule() { return schedule_; }

  private:
    struct Returned {
        std::string reply;
        std::uint64_t deliveries;
    };

    void run();
    void send(const std::vector<Returned>& all);

    NatsConnection& nats_;
    ReturnSchedule schedule_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::vector<Returned> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
