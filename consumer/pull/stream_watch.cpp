#include "consumer/pull/stream_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookInterval = 2s;
/// A stop must not wait for a region that is away.
constexpr auto kLookPatience = 1s;
/// For so long messages must be undeliverable before anybody is told.
constexpr auto kUndeliverableTime = 60s;

}  // namespace

StreamWatch::StreamWatch(NatsConnection& nats, const std::vector<Stream>& streams, Metrics& metrics,
                         OnSeen on_seen)
    : nats_(nats),
      streams_(streams),
      metrics_(metrics),
      on_seen_(std::move(on_seen)),
      thread_(start_thread("stream watch", [this] { run(); })) {}

StreamWatch::~StreamWatch() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

bool StreamWatch::is_stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

void StreamWatch::look(const Stream& stream) {
    std::optional<StreamState> state;
    try {
        state = read_state(nats_, stream, kLookPatience);
    } catch (const NatsError&) {
        // Away: its numbers are unknown, not zero.
        metrics_.forget_backlog(stream.name);
        return;
    }
    Metrics::Backlog backlog;
    if (state) {
        const std::uint64_t undeliverable =
            undeliverable_.try_emplace(stream.name, kUndeliverableTime)
                .first->second.observe(state->undeliverable(), std::chrono::steady_clock::now());
        backlog = {state->unprocessed,
                   state->ack_pending,
                   state->bytes,
                   state->bytes_max,
                   undeliverable,
                   static_cast<std::uint64_t>(std::max<std::int64_t>(state->max_deliver, 0))};
    }
    metrics_.set_backlog(stream.name, backlog);
    on_seen_(stream, state);
}

/// One line when a region goes away and one when it is back, not one for each of its streams.
void StreamWatch::log_regions() {
    const auto statuses = metrics_.stream_statuses();
    std::set<std::string> away;
    for (const Stream& stream : streams_) {
        const auto status = statuses.find(stream.name);
        if (status != statuses.end() && !status->second.is_up) away.insert(stream.region);
    }
    for (const std::string& region : away) {
        if (away_.count(region) == 0) {
            spdlog::warn("region {} does not answer; its events wait there, or in its apps",
                         region);
        }
    }
    for (const std::string& region : away_) {
        if (away.count(region) == 0) spdlog::info("region {} answers again", region);
    }
    away_ = std::move(away);
}

void StreamWatch::run() {
    for (;;) {
        for (const Stream& stream : streams_) {
            if (is_stopping()) return;
            run_turn("stream watch", [&] { look(stream); });
        }
        run_turn("stream watch", [&] { log_regions(); });
        std::unique_lock lock(mutex_);
        if (stop_.wait_for(lock, kLookInterval, [this] { return stopping_; })) return;
    }
}

}  // namespace homeward::consumer
