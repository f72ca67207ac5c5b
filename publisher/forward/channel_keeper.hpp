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

/// Keeps a channel to one of the NATS servers from a thread of its own: when it is lost, or
/// refused, it makes another, for ever, with exponential backoff and jitter. Each attempt reads
/// certificates and credentials anew. Any thread.
class ChannelKeeper {
  public:
    struct Options {
        const PublisherOptions& connection;  ///< borrowed
        const char* header;                  ///< see CallChannel
        CallChannel::OnMessage on_message;
        CallChannel::OnDenied on_denied;  ///< may be empty
        /// Subscribes.
        std::function<void(CallChannel&)> on_connected;
    };
    explicit ChannelKeeper(Options options) : options_(std::move(options)) {}
    ~ChannelKeeper() { end(); }
    ChannelKeeper(const ChannelKeeper&) = delete;
    ChannelKeeper& operator=(const ChannelKeeper&) = delete;

    /// Tries every server once, then starts the thread. Throws SetupError for options that can
    /// never work; that nobody answers is no error. Messages may come before it returns.
    void start();
    /// nullptr when there is no connection.
    std::shared_ptr<CallChannel> channel() const;
    /// No new channel from now on; the one there is stays until end().
    void stop();
    /// No message comes after it. Not on a thread that brings messages.
    void end();

  private:
    using Clock = std::chrono::steady_clock;

    void connect_first();
    void run();
    bool try_server(const std::string& url, bool wants_cause);
    /// Lets go of the channel, and of nobody's while it is used.
    void drop_channel();
    /// One attempt; says why it failed.
    bool reconnect();
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
