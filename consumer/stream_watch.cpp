#include "consumer/stream_watch.hpp"

#include <chrono>

#include "consumer/thread_body.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookInterval = 2s;
/// A stop must not wait for a region that is away.
constexpr auto kLookPatience = 1s;

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
    }
    if (state) {
        metrics_.set_backlog(
            stream.name, {state->unprocessed, state->ack_pending, state->bytes, state->bytes_max});
        on_seen_(stream, *state);
    } else {
        metrics_.forget_backlog(stream.name);
    }
}

void StreamWatch::run() {
    for (;;) {
        for (const Stream& stream : streams_) {
            if (is_stopping()) return;
            run_turn("stream watch", [&] { look(stream); });
        }
        std::unique_lock lock(mutex_);
        if (stop_.wait_for(lock, kLookInterval, [this] { return stopping_; })) return;
    }
}

}  // namespace homeward::consumer
