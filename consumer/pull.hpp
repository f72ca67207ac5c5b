#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "consumer/config.hpp"
#include "consumer/nats_connection.hpp"
#include "consumer/stream.hpp"

namespace homeward::consumer {

/// A message with the stream it came from.
struct Pulled {
    Message message;
    const Stream* stream = nullptr;  ///< owned by the puller
    std::chrono::steady_clock::time_point arrived;
};

/// Fetches messages of several streams ahead of the writers, and never more than they can commit:
/// what is fetched and not yet finished is bounded in count and bytes. Writers take from it by any
/// number of threads.
class Puller {
  public:
    Puller(NatsConnection& nats, std::vector<Stream> streams, const Config::Pull& limits);
    ~Puller();

    struct Want {
        std::size_t messages_max;
        std::size_t bytes_max;
        std::chrono::milliseconds delay;  ///< how long the oldest waits for company
    };
    /// Blocks until there is something, or until stop(): then returns what is left, at last nothing.
    std::vector<Pulled> take(const Want& want);
    /// The messages are acknowledged or given up: there is room for others.
    void finish(std::size_t messages, std::size_t bytes);
    /// Asks for nothing more; what has arrived may still be taken.
    void stop();

    std::size_t waiting() const;
    const std::vector<Stream>& streams() const { return streams_; }

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct Pull {
        std::string inbox;
        std::size_t wanted;
        SteadyClock::time_point gone_at;  // the server has forgotten it by then
    };
    struct Channel {
        const Stream* stream;
        std::string inbox;
        std::deque<Pull> pulls;
    };

    void run();
    void on_arrival(std::size_t channel, Arrival arrival);
    void ask(Channel& channel, std::size_t messages);
    static std::size_t expected(const Channel& channel);

    NatsConnection& nats_;
    std::vector<Stream> streams_;
    Config::Pull limits_;

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable arrived_;
    std::condition_variable room_;
    std::vector<Channel> channels_;
    std::deque<Pulled> queue_;
    std::size_t queue_bytes_ = 0;
    std::size_t unfinished_ = 0;        // taken or queued
    std::size_t unfinished_bytes_ = 0;
    std::uint64_t pull_next_ = 1;
    std::uint64_t connects_seen_ = 0;
    bool stopping_ = false;

    std::thread thread_;
};

}  // namespace homeward::consumer
