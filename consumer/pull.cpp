#include "consumer/pull.hpp"

#include <algorithm>

#include "consumer/ack_keeper.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// How long the server holds a pull that it cannot fill. A stop has to wait for it, as nothing can
/// call a pull back, and what is delivered to nobody comes again only after ack_wait.
constexpr auto kPullExpires = 1s;
/// After that, how long its last word may take.
constexpr auto kPullGrace = 500ms;
/// The next is asked before the last has run out, so that an idle stream is never without one.
constexpr auto kPullFresh = 500ms;
constexpr std::size_t kPullMessagesMax = 256;
constexpr auto kCheckInterval = 100ms;
constexpr auto kRateWindow = 1s;
/// However slow the leader is.
constexpr std::size_t kMessagesMin = 16;

}  // namespace

Puller::Puller(NatsConnection& nats, std::vector<Stream> streams, const Config::Pull& limits,
               std::chrono::milliseconds ack_wait)
    : nats_(nats), streams_(std::move(streams)), limits_(limits), ack_wait_(ack_wait) {
    channels_.resize(streams_.size());
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        channels_[i].stream = &streams_[i];
        const std::string inbox =
            nats_.subscribe([this, i](Arrival arrival) { on_arrival(i, std::move(arrival)); });
        const std::lock_guard lock(mutex_);
        channels_[i].inbox = inbox;
    }
    connects_seen_ = nats_.connects();
    rate_since_ = SteadyClock::now();
    thread_ = std::thread([this] { run(); });
}

Puller::~Puller() {
    stop();
    thread_.join();
}

void Puller::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    arrived_.notify_all();
    room_.notify_all();
}

std::size_t Puller::waiting() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

std::size_t Puller::expected(const Channel& channel, SteadyClock::time_point asked_after) {
    std::size_t sum = 0;
    for (const Pull& pull : channel.pulls) sum += pull.asked >= asked_after ? pull.wanted : 0;
    return sum;
}

void Puller::run() {
    std::unique_lock lock(mutex_);
    while (!is_dry_) {
        const auto now = SteadyClock::now();
        drop_ended_pulls(now);
        measure_rate(now);
        speak_for_waiting(now);
        if (!stopping_) ask_all(now);
        if (stopping_ && std::all_of(channels_.begin(), channels_.end(),
                                     [](const Channel& one) { return one.pulls.empty(); })) {
            is_dry_ = true;
            arrived_.notify_all();
            return;
        }
        room_.wait_for(lock, kCheckInterval);
    }
}

void Puller::drop_ended_pulls(SteadyClock::time_point now) {
    // A new connection knows nothing of pulls that went over the old one.
    const bool reconnected = nats_.connects() != connects_seen_;
    connects_seen_ = nats_.connects();
    const bool is_lost = stopping_ && !nats_.is_connected();
    for (Channel& channel : channels_) {
        if (reconnected || is_lost) channel.pulls.clear();
        std::erase_if(channel.pulls, [&](const Pull& pull) {
            return pull.wanted == 0 || pull.asked + kPullExpires + kPullGrace < now;
        });
    }
}

void Puller::ask_all(SteadyClock::time_point now) {
    std::size_t outstanding = unfinished_;
    for (const Channel& channel : channels_) outstanding += expected(channel, {});
    // Every stream gets its share, so that a flood in one does not starve another.
    const std::size_t all = messages_max();
    const std::size_t share = std::max<std::size_t>(all / channels_.size(), 1);
    const std::size_t batch = std::min(share, kPullMessagesMax);
    for (Channel& channel : channels_) {
        const std::size_t ahead = expected(channel, now - kPullFresh);
        if (ahead > batch / 2 || unfinished_bytes_ >= limits_.bytes_max) continue;
        if (outstanding + batch - ahead > all + batch * channels_.size()) continue;
        if (unfinished_ + batch > all && unfinished_ > 0) continue;
        ask(channel, batch - ahead);
        outstanding += batch - ahead;
    }
}

/// What is fetched and then waits for a slow leader longer than ack_wait would be delivered again
/// and again; so no more is fetched than it has lately committed in half of that.
std::size_t Puller::messages_max() const {
    if (!messages_per_second_) return limits_.messages_max;
    const double in_time =
        *messages_per_second_ * std::chrono::duration<double>(ack_wait_).count() / 2;
    const auto messages = static_cast<std::size_t>(std::min(in_time, 1e9));
    return std::min(std::max(messages, kMessagesMin), limits_.messages_max);
}

void Puller::measure_rate(SteadyClock::time_point now) {
    const auto elapsed = now - rate_since_;
    if (elapsed < kRateWindow) return;
    const double rate =
        static_cast<double>(rate_finished_) / std::chrono::duration<double>(elapsed).count();
    // Only while there is enough to do does the rate tell what the leader can take.
    const bool is_busy = unfinished_ >= messages_max() / 2;
    if (is_busy) {
        messages_per_second_ = (messages_per_second_.value_or(rate) + rate) / 2;
    } else {
        messages_per_second_.reset();
    }
    rate_since_ = now;
    rate_finished_ = 0;
}

void Puller::speak_for_waiting(SteadyClock::time_point now) {
    const auto interval = AckKeeper::interval(ack_wait_);
    if (now - spoken_ < interval / 4) return;
    spoken_ = now;
    for (Pulled& pulled : queue_.messages()) {
        if (now - pulled.touched < interval) continue;
        nats_.publish(std::string(pulled.message.reply), "+WPI");
        pulled.touched = now;
    }
}

void Puller::ask(Channel& channel, std::size_t messages) {
    Pull pull{channel.inbox + std::to_string(pull_next_++), messages, SteadyClock::now()};
    const std::string body = "{\"batch\":" + std::to_string(messages) + ",\"expires\":" +
                             std::to_string(std::chrono::nanoseconds(kPullExpires).count()) + "}";
    const Stream& stream = *channel.stream;
    const std::string subject =
        stream.api() + "CONSUMER.MSG.NEXT." + stream.name + "." + stream.durable;
    if (nats_.publish(subject, pull.inbox, body)) channel.pulls.push_back(std::move(pull));
}

void Puller::on_arrival(std::size_t index, Arrival arrival) {
    const std::lock_guard lock(mutex_);
    Channel& channel = channels_[index];
    if (!arrival.message) {
        // 100 is a sign of life; anything else ends the pull that it was said of.
        if (arrival.status == 100) return;
        std::erase_if(channel.pulls, [&](const Pull& pull) { return pull.inbox == arrival.inbox; });
        // Expired: ask again. After a refusal (409, 503) only at the next regular look.
        if (arrival.status == 404 || arrival.status == 408 || stopping_) room_.notify_one();
        return;
    }
    // A stream fills pulls in the order in which they were asked.
    for (Pull& pull : channel.pulls) {
        if (pull.wanted == 0) continue;
        --pull.wanted;
        break;
    }
    const std::size_t bytes = arrival.message->data.size();
    const auto now = SteadyClock::now();
    queue_.push({std::move(*arrival.message), channel.stream, now, now});
    ++unfinished_;
    unfinished_bytes_ += bytes;
    arrived_.notify_one();
    room_.notify_one();
}

std::vector<Pulled> Puller::take(const std::function<Want()>& want_now) {
    std::unique_lock lock(mutex_);
    Want want{};
    for (;;) {
        arrived_.wait(lock, [this] { return is_dry_ || !queue_.empty(); });
        if (queue_.empty()) return {};
        want = want_now();
        const auto due = queue_.due(want);
        if (stopping_ || queue_.is_full(want) || SteadyClock::now() >= due) break;
        arrived_.wait_until(lock, due);
    }
    return queue_.take(want);
}

void Puller::finish(std::size_t messages, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    unfinished_ -= messages;
    unfinished_bytes_ -= bytes;
    rate_finished_ += messages;
    room_.notify_one();
}

}  // namespace homeward::consumer
