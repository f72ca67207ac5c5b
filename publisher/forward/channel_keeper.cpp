#include "publisher/forward/channel_keeper.hpp"

#include <algorithm>

#include "publisher/platform/thread_body.hpp"
#include "publisher/send/nats_link.hpp"
#include "schemas/nats/nats_probe.hpp"

namespace homeward::forward {
namespace {

using namespace std::chrono_literals;

constexpr auto kBackoffFirst = 50ms;
constexpr auto kBackoffMax = 2s;
constexpr auto kLookInterval = 500ms;
constexpr auto kPingInterval = 3s;
/// Of one ping; stop() waits for it.
constexpr auto kPingPatience = 1s;
constexpr int kPingsLostMax = 3;

/// A callback of a channel must not release its last reference: the destructor waits for running
/// callbacks. There are no new copies once the keeper has released its own.
void destroy(std::shared_ptr<CallChannel> channel) {  // NOLINT: it is destroyed here
    while (channel.use_count() > 1) std::this_thread::sleep_for(1ms);
}

}  // namespace

void ChannelKeeper::start() {
    connect_first();
    thread_ = std::thread([this] {
        run_contained("forwarded calls", "there will be no new connection to NATS",
                      options_.connection.on_log, [this] { run(); });
    });
}

void ChannelKeeper::end() {
    stop();
    if (thread_.joinable()) thread_.join();
    drop_channel();
}

void ChannelKeeper::drop_channel() {
    std::unique_lock lock(mutex_);
    std::shared_ptr<CallChannel> channel = std::move(channel_);
    channel_.reset();
    // Destroyed without the lock, which its last callbacks may take.
    lock.unlock();
    destroy(std::move(channel));
}

void ChannelKeeper::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    wake_.notify_all();
}

std::shared_ptr<CallChannel> ChannelKeeper::channel() const {
    const std::lock_guard lock(mutex_);
    return channel_ && channel_->is_connected() ? channel_ : nullptr;
}

void ChannelKeeper::connect_first() {
    for (const std::string& url : options_.connection.nats_urls) {
        try {
            if (try_server(url, false)) return;
        } catch (const ConnectError&) {
            // run() tries again at once, and says why it fails.
        }
    }
    is_lost_ = true;
}

void ChannelKeeper::run() {
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
        wake_.wait_for(lock, kLookInterval, [this] { return is_lost_ || is_stopping_; });
        if (is_stopping_) return;
        if (!is_lost_ && is_alive(lock)) continue;
        is_lost_ = false;
        lock.unlock();
        const bool is_back = reconnect();
        const auto pause = is_back ? Clock::duration{} : backoff();
        lock.lock();
        if (is_back) continue;
        is_lost_ = true;
        wake_.wait_for(lock, pause, [this] { return is_stopping_; });
    }
}

/// nats.c tells of lost connections and pings by threads that a forked child does not have.
bool ChannelKeeper::is_alive(std::unique_lock<std::mutex>& lock) {
    const std::shared_ptr<CallChannel> channel = channel_;
    if (channel == nullptr || !channel->is_connected()) return false;
    if (Clock::now() < next_ping_) return true;
    lock.unlock();
    const bool has_answered = channel->flush(kPingPatience);
    lock.lock();
    pings_lost_ = has_answered ? 0 : pings_lost_ + 1;
    if (has_answered) next_ping_ = Clock::now() + kPingInterval;
    return pings_lost_ < kPingsLostMax;
}

bool ChannelKeeper::reconnect() {
    const auto& urls = options_.connection.nats_urls;
    const std::string& url = urls[next_url_++ % urls.size()];
    std::string cause;
    try {
        if (try_server(url, outage_.is_due(Clock::now()))) return true;
        cause = "connection to NATS at " + printable_address(url) + " ended at once";
    } catch (const ConnectError& error) {
        cause = error.what();
    } catch (const SetupError& error) {
        cause = error.what();  // a file that is just being replaced
    }
    const auto line = outage_.failed(cause + "; no calls are forwarded", Clock::now());
    if (line) options_.connection.on_log(*line);
    return false;
}

bool ChannelKeeper::try_server(const std::string& url, bool wants_cause) {
    const auto lose = [this] {
        {
            const std::lock_guard lock(mutex_);
            is_lost_ = true;
        }
        wake_.notify_all();
    };
    drop_channel();
    const auto channel = std::make_shared<CallChannel>(
        options_.connection, url, wants_cause, options_.header,
        CallChannel::Callbacks{options_.on_message, options_.on_denied, options_.connection.on_log,
                               lose});
    {
        // Before it subscribes: what comes then is answered by it.
        const std::lock_guard lock(mutex_);
        channel_ = channel;
        is_lost_ = false;
    }
    try {
        options_.on_connected(*channel);
    } catch (const ConnectError&) {
        lose();
        throw;
    }
    if (!channel->is_connected()) return false;
    attempts_ = 0;
    pings_lost_ = 0;
    const auto line =
        outage_.ended("connected to NATS at " + printable_address(url) + " again", Clock::now());
    if (line) options_.connection.on_log(*line);
    return true;
}

/// Half fixed, half random, so that clients that were cut off together do not return together.
ChannelKeeper::Clock::duration ChannelKeeper::backoff() {
    const auto base =
        std::min<Clock::duration>(kBackoffFirst * (1 << std::min(attempts_, 10)), kBackoffMax);
    ++attempts_;
    const auto half = base.count() / 2;
    return Clock::duration(half + static_cast<std::int64_t>(random_()) % (half + 1));
}

}  // namespace homeward::forward
