#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "publisher/forward/call_channel.hpp"
#include "schemas/nats/outage_log.hpp"

namespace homeward::forward {

/// Maintains a channel to one of the NATS servers, in a thread of its own. It replaces a lost or
/// refused channel forever, with exponential backoff and jitter. Each attempt reads certificates
/// and credentials again. Any thread.
class ChannelKeeper {
  public:
    struct Options {
        const PublisherOptions& connection;  ///< borrowed
        const char* header;                  ///< see CallChannel
        CallChannel::OnMessage on_message;
        CallChannel::OnDenied on_denied;  ///< may be empty
        /// Subscribes; called for each new channel.
        std::function<void(CallChannel&)> on_connected;
    };
    explicit ChannelKeeper(Options options) : options_(std::move(options)) {}
    ~ChannelKeeper() { end(); }
    ChannelKeeper(const ChannelKeeper&) = delete;
    ChannelKeeper& operator=(const ChannelKeeper&) = delete;

    /// Tries every server once, then starts the thread. It succeeds if no server answers; the
    /// thread then tries again. Messages may arrive before it returns. Throws SetupError for
    /// options that can never work.
    void start();
    /// nullptr when there is no connection.
    std::shared_ptr<CallChannel> channel() const;
    /// Makes no new channel after this; the current one stays until end().
    void stop();
    /// No message arrives after it. Must not be called by a thread that delivers messages.
    void end();

  private:
    using Clock = std::chrono::steady_clock;

    void connect_first();
    void run();
    bool try_server(const std::string& url, bool wants_cause);
    /// Releases this reference to the channel; callers that use it keep theirs.
    void drop_channel();
    /// Whether the channel's server answers. Unlocks `lock` meanwhile.
    bool is_alive(std::unique_lock<std::mutex>& lock);
    /// Makes one attempt and logs why it failed.
    bool reconnect();
    Clock::duration backoff();

    const Options options_;
    std::size_t next_url_ = 0;
    int attempts_ = 0;
    Clock::time_point next_ping_{};
    int pings_lost_ = 0;
    OutageLog outage_;
    std::minstd_rand random_{std::random_device{}()};

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    bool is_lost_ = false;
    bool is_stopping_ = false;
    std::shared_ptr<CallChannel> channel_;

    std::thread thread_;
};

}  // namespace homeward::forward
