#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "publisher/forward/call_channel.hpp"
#include "schemas/nats/outage_log.hpp"

namespace homeward::forward {

/// Keeps a channel to one of the NATS servers from a thread of its own: when it is lost, or
/// refused, it makes another, for ever, with exponential backoff and jitter. Each attempt reads
/// certificates and credentials anew. Any thread.
class ChannelKeeper {
  public:
    struct Options {
        const PublisherOptions& connection;  ///< borrowed
        const char* header;                  ///< see CallChannel
        CallChannel::OnMessage on_message;
        /// Subscribes; the channel is nobody else's yet.
        std::function<void(CallChannel&)> on_connected;
    };
    /// Tries every server once. Throws SetupError for options that can never work; that nobody
    /// answers is no error.
    explicit ChannelKeeper(Options options);
    ~ChannelKeeper();
    ChannelKeeper(const ChannelKeeper&) = delete;
    ChannelKeeper& operator=(const ChannelKeeper&) = delete;

    /// nullptr when there is no connection.
    std::shared_ptr<CallChannel> channel() const;
    /// No new channel from now on; the one there is stays until the end.
    void stop();

  private:
    using Clock = std::chrono::steady_clock;

    void connect_first();
    void run();
    bool try_server(const std::string& url, bool wants_cause);
    /// One attempt; says why it failed.
    void reconnect();
    Clock::duration backoff();

    const Options options_;
    std::size_t next_url_ = 0;
    int attempts_ = 0;
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
