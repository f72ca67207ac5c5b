#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/nats_link.hpp"
#include "publisher/origin.hpp"

namespace homeward {

/// Sends logged frames to JetStream and keeps account of every one until the stream has it. Has a
/// thread of its own, because the network may block and the sender must not. Origins are borrowed
/// and must outlive their remove().
class Shipper {
  public:
    enum class Start : std::uint8_t {
        at_once,        ///< tries to connect before it returns; throws SetupError for bad options
        in_background,  ///< by its own thread
    };
    /// `on_release`: called by the shipper's thread after frames were acknowledged.
    Shipper(const PublisherOptions& options, Start start, std::function<void()> on_release);
    ~Shipper();

    void add(Origin* origin);
    /// Forgets the origin: none of its frames is sent or expected any more.
    void remove(Origin* origin);
    /// There are new departures.
    void wake();
    /// Its thread ends as soon as it can.
    void tell_to_stop();
    /// Waits for that too; bounded by the link's deadlines for a write and for a connection.
    void stop();

    bool is_connected() const { return is_connected_.load(std::memory_order_relaxed); }
    std::uint64_t retries(EventClass event_class) const {
        return retries_[static_cast<std::size_t>(event_class) - 1].load();
    }

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct Flight {
        Origin* origin = nullptr;
        Departure departure;
        int attempts = 0;
        SteadyClock::time_point retry_at;
        bool lost = false;  ///< the log does not give it back
    };
    struct Window {
        std::size_t frames = 0;
        std::size_t bytes = 0;
    };

    void connect();
    void replace_dead_link();
    void run();
    void turn();
    void take_answers();
    void send_new();
    void send_due();
    void give_up_lost();
    void leave_window(const Flight& flight);
    bool has_room(const Origin& origin) const;
    bool send(std::uint64_t token, Flight& flight);
    SteadyClock::duration backoff(int attempts);
    void log_refusal(const std::string& reason);

    PublisherOptions options_;
    std::function<void()> on_release_;

    std::mutex mutex_;  // guards what follows
    std::condition_variable wakened_;
    std::vector<PublishAnswer> answers_;
    bool has_work_ = false;
    bool stopping_ = false;

    std::mutex origins_mutex_;  // held while frames are handled, so that remove() may wait for it
    std::vector<Origin*> origins_;
    std::map<std::uint64_t, Flight> flights_;  // by token
    std::map<Origin*, Window> windows_;
    std::uint64_t token_next_ = 1;
    std::array<std::atomic<std::uint64_t>, 2> retries_{};
    std::minstd_rand random_{std::random_device{}()};
    std::string last_refusal_;

    std::atomic<bool> is_connected_{false};
    Start start_;
    SteadyClock::time_point heard_at_{};
    std::unique_ptr<NatsLink> link_;  // its callbacks use what stands above
    std::thread thread_;
};

}  // namespace homeward
