#include "consumer/pull/pull.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "consumer/base/thread_body.hpp"
#include "consumer/pull/ack_deadline_extender.hpp"

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
constexpr std::size_t kPullMessagesMax = 2'048;
/// What is fetched ahead is asked for in so many parts or more.
constexpr std::size_t kPullsAtLeast = 4;
/// As long as nobody knows how large messages are: a publisher's frame, were it not compressed.
constexpr double kMessageBytesBlind = 64 << 10;
/// What the mean size of messages is taken over, roughly.
constexpr double kMeanOver = 32;
/// A pull for less is not worth asking; more than the largest frame.
constexpr std::size_t kPullBytesMin = 1u << 20;
/// One pull may be lost with a message; with so many in a row nobody hears us.
constexpr int kUnheardMax = 3;
constexpr auto kComplainInterval = 10s;
constexpr auto kCheckInterval = 100ms;
/// A pull arrives within this part of ack_wait. Two may be on their way, on a busy machine.
constexpr int kArrivalsPerAckWait = 8;
/// Of the first pulls: nobody knows how fast the link is, nor how large the messages are.
constexpr std::size_t kPullMessagesFirst = 256;
constexpr std::size_t kPullBytesFirst = 8u << 20;
/// However slow the link is.
constexpr std::size_t kPullMessagesMin = 16;
/// A link of 1 Mbit/s carries so much within an eighth of the default ack_wait.
constexpr double kPullBytesSlowLink = 64 << 10;

}  // namespace

Puller::Puller(NatsConnection& nats, std::vector<Stream> streams, const Config::Pull& limits,
               std::chrono::milliseconds ack_wait, const std::set<std::string>& away)
    : nats_(nats),
      streams_(std::move(streams)),
      limits_(limits),
      ack_wait_(ack_wait),
      ahead_(limits.messages_max),
      verifier_([this](PulledMessage pulled) {
          const std::lock_guard lock(mutex_);
          --verifying_;
          enqueue(std::move(pulled));
      }) {
    channels_.resize(streams_.size());
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            channels_[i].stream = &streams_[i];
            channels_[i].is_open = away.count(streams_[i].name) == 0;
            channels_[i].pull_max = kPullMessagesFirst;
            listen(i);
        }
    }
    connects_seen_ = nats_.connects();
    thread_ = start_thread("puller", [this] { run(); });
}

Puller::~Puller() {
    stop();
    thread_.join();
    // Whatever still comes, comes to nobody.
    for (const Channel& channel : channels_) {
        nats_.unsubscribe(channel.inbox);
        nats_.unsubscribe(channel.inbox_before);
    }
}

void Puller::open(const std::string& stream) {
    const std::lock_guard lock(mutex_);
    for (Channel& channel : channels_) {
        if (channel.stream->name == stream) channel.is_open = true;
    }
    room_.notify_one();
}

void Puller::set_ack_wait(std::chrono::milliseconds ack_wait) {
    const std::lock_guard lock(mutex_);
    ack_wait_ = ack_wait;
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

std::size_t Puller::expected_bytes() const {
    std::size_t sum = 0;
    for (const Channel& channel : channels_) {
        for (const Pull& pull : channel.pulls) sum += pull.wanted > 0 ? pull.bytes_left : 0;
    }
    return sum;
}

void Puller::listen(std::size_t index) {
    channels_[index].inbox = nats_.subscribe(
        streams_[index].domain,
        [this, index](std::vector<Arrival>& arrivals) { on_arrivals(index, arrivals); });
}

std::vector<std::string> Puller::listen_anew_where_silent() {
    std::vector<std::string> given_up;
    if (!nats_.is_connected()) return given_up;
    for (std::size_t i = 0; i < channels_.size(); ++i) {
        Channel& channel = channels_[i];
        if (channel.unheard < kUnheardMax) continue;
        complain(channel, "pull after pull ends without a word; listening anew");
        channel.unheard = 0;
        // The last inbox stays for now: it may be only slow.
        if (!channel.inbox_before.empty()) given_up.push_back(channel.inbox_before);
        channel.inbox_before = channel.inbox;
        listen(i);
    }
    return given_up;
}

void Puller::run() {
    std::unique_lock lock(mutex_);
    while (!is_dry_) {
        const auto now = SteadyClock::now();
        drop_ended_pulls(now);
        if (!stopping_) {
            const auto given_up = listen_anew_where_silent();
            // Each of them may just be waiting for the lock.
            lock.unlock();
            for (const std::string& inbox : given_up) nats_.unsubscribe(inbox);
            lock.lock();
        }
        ahead_.measure(now, unfinished_);
        extend_deadlines(now);
        if (!stopping_) ask_all(now);
        if (stopping_ && verifying_ == 0 &&
            std::all_of(channels_.begin(), channels_.end(),
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
            const bool is_over = pull.asked + kPullExpires + kPullGrace < now;
            if (is_over && !pull.is_heard) ++channel.unheard;
            return pull.wanted == 0 || is_over;
        });
    }
}

void Puller::ask_all(SteadyClock::time_point now) {
    std::size_t outstanding = unfinished_;
    for (const Channel& channel : channels_) outstanding += expected(channel, {});
    const std::size_t all = ahead_.messages_max();
    // Idle streams hold back what their pulls might bring: two each.
    const std::size_t share_bytes =
        std::max(limits_.bytes_max / channels_.size() / 2, kPullBytesMin);
    for (Channel& channel : channels_) {
        if (!channel.is_open) continue;
        const std::size_t held_bytes = unfinished_bytes_ + expected_bytes();
        const std::size_t room_bytes = limits_.bytes_max - std::min(held_bytes, limits_.bytes_max);
        const bool is_first = channel.filled == SteadyClock::time_point{};
        const std::size_t pull_bytes =
            std::clamp(room_bytes, kPullBytesMin,
                       is_first ? std::min(share_bytes, kPullBytesFirst) : share_bytes);
        const std::size_t batch =
            std::min({pull_messages(), channel.pull_max, fitting(channel, pull_bytes)});
        channel.batch = batch;
        const std::size_t ahead = expected(channel, now - kPullFresh);
        if (ahead > batch / 2 || (room_bytes < kPullBytesMin && unfinished_ > 0)) continue;
        if (outstanding + batch - ahead > all + batch * channels_.size()) continue;
        if (unfinished_ + batch > all && unfinished_ > 0) continue;
        ask(channel, batch - ahead, pull_bytes);
        outstanding += batch - ahead;
    }
}

/// Every stream gets its share, so that a flood in one does not starve another; and only a part of
/// all, so that more can be asked for while some of it waits for a writer.
std::size_t Puller::pull_messages() const {
    const std::size_t parts = std::max(channels_.size(), kPullsAtLeast);
    return std::clamp<std::size_t>(ahead_.messages_max() / parts, 1, kPullMessagesMax);
}

/// A pull is to end by its messages: one that ends by its bytes costs a redelivered message another
/// ack_wait, since nats-server 2.9 puts aside what it then cannot give.
std::size_t Puller::fitting(const Channel& channel, std::size_t bytes) {
    const double mean = channel.mean_bytes == 0 ? kMessageBytesBlind : channel.mean_bytes;
    return std::max<std::size_t>(static_cast<std::size_t>(static_cast<double>(bytes) / 2 / mean),
                                 1);
}

bool Puller::is_at_limit() const {
    return unfinished_ + pull_messages() > ahead_.messages_max() ||
           unfinished_bytes_ + kPullBytesMin > limits_.bytes_max;
}

void Puller::extend_deadlines(SteadyClock::time_point now) {
    const auto interval = AckDeadlineExtender::interval(ack_wait_);
    if (now - spoken_ < interval / 4) return;
    spoken_ = now;
    const auto extend = [&](PulledMessage& pulled) {
        if (now - pulled.touched < interval) return;
        nats_.publish(std::string(pulled.message.reply), "+WPI");
        pulled.touched = now;
    };
    for (PulledMessage& pulled : queue_.messages()) extend(pulled);
    verifier_.for_each_waiting(extend);
}

void Puller::ask(Channel& channel, std::size_t messages, std::size_t bytes) {
    // What no pull of this size could bring comes by itself.
    if (channel.is_oversized) messages = 1;
    Pull pull{channel.inbox + std::to_string(pull_next_++), messages, messages, bytes,
              SteadyClock::now()};
    const std::string body =
        "{\"batch\":" + std::to_string(messages) +
        ",\"expires\":" + std::to_string(std::chrono::nanoseconds(kPullExpires).count()) +
        (channel.is_oversized ? "" : ",\"max_bytes\":" + std::to_string(bytes)) + "}";
    const Stream& stream = *channel.stream;
    const std::string subject =
        stream.api() + "CONSUMER.MSG.NEXT." + stream.name + "." + stream.durable;
    if (nats_.publish(subject, pull.inbox, body)) channel.pulls.push_back(std::move(pull));
}

void Puller::on_arrivals(std::size_t index, std::vector<Arrival>& arrivals) {
    const std::lock_guard lock(mutex_);
    Channel& channel = channels_[index];
    channel.unheard = 0;
    for (Arrival& arrival : arrivals) {
        if (arrival.message) {
            on_message(channel, std::move(*arrival.message));
        } else {
            on_status(channel, arrival);
        }
    }
}

/// 100 is a sign of life; anything else ends the pull that it was said of.
void Puller::on_status(Channel& channel, const Arrival& arrival) {
    if (arrival.status == 100) return;
    const bool is_full = arrival.description.find("MaxBytes") != std::string::npos;
    const auto pull = std::find_if(channel.pulls.begin(), channel.pulls.end(),
                                   [&](const Pull& one) { return one.inbox == arrival.inbox; });
    if (pull != channel.pulls.end()) {
        channel.is_oversized = is_full && !pull->is_heard;
        channel.pulls.erase(pull);
    }
    // Expired, or full: ask again. After a refusal (409, 503) only at the next regular look.
    if (arrival.status == 404 || arrival.status == 408 || is_full || stopping_) {
        room_.notify_one();
        return;
    }
    complain(channel, std::to_string(arrival.status) + " " + arrival.description);
}

void Puller::complain(Channel& channel, const std::string& what) {
    const auto now = SteadyClock::now();
    if (now - channel.complained < kComplainInterval) return;
    channel.complained = now;
    spdlog::warn("pulling from {}: {}", channel.stream->name, what);
}

void Puller::on_message(Channel& channel, Message message) {
    const std::size_t bytes = message.data.size();
    const auto now = SteadyClock::now();
    count_in_pull(channel, message, now);
    channel.is_oversized = false;
    const auto size = static_cast<double>(bytes);
    channel.mean_bytes += (size - channel.mean_bytes) / (channel.mean_bytes == 0 ? 1 : kMeanOver);
    ++unfinished_;
    unfinished_bytes_ += bytes;
    PulledMessage pulled{std::move(message), channel.stream, now, now};
    const bool is_frame = channel.stream->kind != StreamKind::plain;
    if (is_frame && FrameVerifier::is_needed(pulled.message)) {
        ++verifying_;
        verifier_.push(std::move(pulled));
    } else {
        enqueue(std::move(pulled));
    }
    // Once: what cannot be asked for then, for want of room, is asked for when there is room.
    if (expected(channel, {}) == channel.batch / 2) room_.notify_one();
}

/// A stream fills pulls in the order in which they were asked.
void Puller::count_in_pull(Channel& channel, const Message& message, SteadyClock::time_point now) {
    const auto pull = std::find_if(channel.pulls.begin(), channel.pulls.end(),
                                   [](const Pull& one) { return one.wanted > 0; });
    if (pull == channel.pulls.end()) return;
    if (pull->wanted == pull->size) {
        pull->first = now;
        pull->is_of_backlog = message.delivery.pending + 1 >= pull->size;
    }
    --pull->wanted;
    pull->bytes_left -= std::min(message.data.size(), pull->bytes_left);
    pull->is_heard = true;
    if (pull->wanted > 0) return;
    channel.filled = now;
    fit_pulls_to_link(channel, *pull, now - pull->first);
}

/// The deadline of a message runs from when its server sends it, however long the link takes. That
/// a pull took long says something of the link only when the stream had all of it from the start:
/// else it waited for messages to be published.
void Puller::fit_pulls_to_link(Channel& channel, const Pull& filled,
                               SteadyClock::duration took) const {
    const auto time = ack_wait_ / kArrivalsPerAckWait;
    if (took > time) {
        if (filled.is_of_backlog) {
            channel.pull_max = std::max(filled.size / 2, pull_messages_min(channel));
        }
    } else if (took < time / 2 && filled.size >= channel.pull_max / 2) {
        channel.pull_max = std::min(channel.pull_max * 2, kPullMessagesMax);
    }
}

/// Less than this a busy machine may take as long for as a slow link.
std::size_t Puller::pull_messages_min(const Channel& channel) {
    const auto small =
        static_cast<std::size_t>(kPullBytesSlowLink / std::max(channel.mean_bytes, 1.0));
    return std::clamp(small, kPullMessagesMin, kPullMessagesFirst);
}

void Puller::enqueue(PulledMessage pulled) {
    queue_.push(std::move(pulled));
    // Nobody is woken in vain: a switch of threads costs more than a small message.
    if (queue_.size() == 1 || queue_.is_full(taker_bounds_) || is_at_limit()) {
        arrived_.notify_one();
    }
}

std::vector<PulledMessage> Puller::take(const std::function<BatchBounds()>& read_bounds) {
    std::unique_lock lock(mutex_);
    BatchBounds bounds{};
    for (;;) {
        arrived_.wait(lock, [this] { return is_dry_ || !queue_.empty(); });
        if (queue_.empty()) return {};
        taker_bounds_ = bounds = read_bounds();
        const auto now = SteadyClock::now();
        const auto due = queue_.due(bounds);
        if (stopping_ || queue_.is_full(bounds) || is_at_limit() || now >= due) break;
        arrived_.wait_until(lock, std::min(due, now + kCheckInterval));
    }
    std::vector<PulledMessage> taken = queue_.take(bounds);
    if (!queue_.empty()) arrived_.notify_one();
    return taken;
}

void Puller::finish(std::size_t messages, std::size_t bytes, SteadyClock::duration took) {
    const std::lock_guard lock(mutex_);
    queue_.note_time(took);
    unfinished_ -= messages;
    unfinished_bytes_ -= bytes;
    ahead_.finished(messages);
    room_.notify_one();
}

}  // namespace homeward::consumer
