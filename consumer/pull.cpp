#include "consumer/pull.hpp"

#include <algorithm>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// How long the server holds a pull that it cannot fill.
constexpr auto kPullExpires = 10s;
/// After that, how long its last word may take.
constexpr auto kPullGrace = 2s;
constexpr std::size_t kPullMessagesMax = 256;
constexpr auto kCheckInterval = 100ms;

}  // namespace

Puller::Puller(NatsConnection& nats, std::vector<Stream> streams, const Config::Pull& limits)
    : nats_(nats), streams_(std::move(streams)), limits_(limits) {
    channels_.resize(streams_.size());
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        channels_[i].stream = &streams_[i];
        const std::string inbox =
            nats_.subscribe([this, i](Arrival arrival) { on_arrival(i, std::move(arrival)); });
        const std::lock_guard lock(mutex_);
        channels_[i].inbox = inbox;
    }
    connects_seen_ = nats_.connects();
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

std::size_t Puller::expected(const Channel& channel) {
    std::size_t sum = 0;
    for (const Pull& pull : channel.pulls) sum += pull.wanted;
    return sum;
}

void Puller::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto now = SteadyClock::now();
        const bool reconnected = nats_.connects() != connects_seen_;
        connects_seen_ = nats_.connects();
        std::size_t outstanding = unfinished_;
        for (Channel& channel : channels_) {
            // A new connection knows nothing of pulls that went over the old one.
            if (reconnected) channel.pulls.clear();
            std::erase_if(channel.pulls, [&](const Pull& pull) {
                return pull.wanted == 0 || pull.gone_at < now;
            });
            outstanding += expected(channel);
        }
        // Every stream gets its share, so that a flood in one does not starve another.
        const std::size_t share = std::max<std::size_t>(limits_.messages_max / channels_.size(), 1);
        const std::size_t batch = std::min(share, kPullMessagesMax);
        for (Channel& channel : channels_) {
            const std::size_t ahead = expected(channel);
            if (ahead > batch / 2 || unfinished_bytes_ >= limits_.bytes_max) continue;
            if (outstanding + batch - ahead > limits_.messages_max + batch) continue;
            if (unfinished_ + batch > limits_.messages_max && unfinished_ > 0) continue;
            ask(channel, batch - ahead);
            outstanding += batch - ahead;
        }
        room_.wait_for(lock, kCheckInterval);
    }
}

void Puller::ask(Channel& channel, std::size_t messages) {
    Pull pull{channel.inbox + std::to_string(pull_next_++), messages,
              SteadyClock::now() + kPullExpires + kPullGrace};
    const std::string body =
        "{\"batch\":" + std::to_string(messages) + ",\"expires\":" +
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
        std::erase_if(channel.pulls,
                      [&](const Pull& pull) { return pull.inbox == arrival.inbox; });
        // Expired: ask again. After a refusal (409, 503) only at the next regular look.
        if (arrival.status == 404 || arrival.status == 408) room_.notify_one();
        return;
    }
    // A stream fills pulls in the order in which they were asked.
    for (Pull& pull : channel.pulls) {
        if (pull.wanted == 0) continue;
        --pull.wanted;
        break;
    }
    const std::size_t bytes = arrival.message->data.size();
    queue_.push_back({std::move(*arrival.message), channel.stream, SteadyClock::now()});
    queue_bytes_ += bytes;
    ++unfinished_;
    unfinished_bytes_ += bytes;
    arrived_.notify_one();
    room_.notify_one();
}

std::vector<Pulled> Puller::take(const Want& want) {
    std::unique_lock lock(mutex_);
    for (;;) {
        arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return {};
        const auto due = queue_.front().arrived + want.delay;
        const bool is_full =
            queue_.size() >= want.messages_max || queue_bytes_ >= want.bytes_max;
        if (stopping_ || is_full || SteadyClock::now() >= due) break;
        arrived_.wait_until(lock, due);
    }
    std::vector<Pulled> taken;
    std::size_t bytes = 0;
    while (!queue_.empty() && taken.size() < want.messages_max &&
           (taken.empty() || bytes + queue_.front().message.data.size() <= want.bytes_max)) {
        bytes += queue_.front().message.data.size();
        taken.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    queue_bytes_ -= bytes;
    return taken;
}

void Puller::finish(std::size_t messages, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    unfinished_ -= messages;
    unfinished_bytes_ -= bytes;
    room_.notify_one();
}

}  // namespace homeward::consumer
