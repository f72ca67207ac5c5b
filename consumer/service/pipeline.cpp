#include "consumer/service/pipeline.hpp"

#include <algorithm>
#include <limits>

namespace homeward::consumer {
namespace {

/// By stream; as the configuration says for those that are away.
std::map<std::string, std::int64_t> ack_waits_of(const std::vector<Stream>& streams,
                                                 const StreamStates& states, const Config& config) {
    std::map<std::string, std::int64_t> ack_waits_ms;
    for (const Stream& stream : streams) {
        const auto state = states.find(stream.name);
        ack_waits_ms[stream.name] = state == states.end()
                                        ? static_cast<std::int64_t>(config.pull.ack_wait_ms)
                                        : state->second.ack_wait_ms;
    }
    return ack_waits_ms;
}

std::set<std::string> streams_away(const std::vector<Stream>& streams, const StreamStates& states) {
    std::set<std::string> away;
    for (const Stream& stream : streams) {
        if (states.count(stream.name) == 0) away.insert(stream.name);
    }
    return away;
}

}  // namespace

Pipeline::Pipeline(const Parts& parts, std::vector<Stream> streams, bool is_replay)
    : ack_waits_ms_(ack_waits_of(streams, parts.states, parts.config)),
      ack_deadlines_(parts.nats, shortest_ack_wait()),
      puller_(parts.nats, streams, parts.config.pull, shortest_ack_wait(),
              streams_away(streams, parts.states)),
      leader_fence_(parts.nats, std::move(streams)),
      type_holds_(*parts.catalog, parts.metrics),
      source_holds_(parts.config.dead_letters, parts.dead_letter_quota, parts.metrics),
      newer_frames_(parts.config.dead_letters, parts.metrics),
      acknowledger_(parts.nats, ack_deadlines_, parts.config.postgres, parts.metrics,
                    parts.config.postgres.ack_after == "replicated" && !is_replay),
      origin_quota_(parts.config.ledger.new_origins_max, parts.metrics),
      log_(parts.metrics),
      context_{parts.config,
               parts.limits,
               parts.catalog,
               puller_,
               acknowledger_,
               {type_holds_, source_holds_, newer_frames_, parts.dead_letter_quota,
                is_replay ? nullptr : &origin_quota_},
               {is_replay ? nullptr : &leader_fence_, parts.memory, is_replay},
               parts.metrics,
               log_,
               [this](const Stream& stream) { return created_us_.at(stream.name).load(); }} {
    for (const Stream& stream : puller_.streams()) {
        const auto state = parts.states.find(stream.name);
        created_us_[stream.name] = state == parts.states.end() ? 0 : state->second.created_us;
    }
    for (std::size_t i = 0; i < parts.config.batch.writers; ++i) {
        writers_.push_back(std::make_unique<Writer>(context_));
    }
}

std::chrono::milliseconds Pipeline::shortest_ack_wait() const {
    std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
    for (const auto& [name, ack_wait_ms] : ack_waits_ms_) {
        shortest = std::min(shortest, ack_wait_ms);
    }
    return std::chrono::milliseconds(shortest);
}

void Pipeline::note_state(const Stream& stream, const StreamState& state) {
    const std::lock_guard lock(ack_waits_mutex_);
    std::int64_t& known_ms = ack_waits_ms_.at(stream.name);
    if (known_ms == state.ack_wait_ms) return;
    known_ms = state.ack_wait_ms;
    ack_deadlines_.set_ack_wait(shortest_ack_wait());
    puller_.set_ack_wait(shortest_ack_wait());
}

void Pipeline::open(const Stream& stream, const StreamState& state) {
    created_us_.at(stream.name) = state.created_us;
    note_state(stream, state);
    puller_.open(stream.name);
}

void Pipeline::renew(const Stream& stream, const StreamState& state) {
    created_us_.at(stream.name) = state.created_us;
    leader_fence_.renew();
}

void Pipeline::stop() {
    puller_.stop();
    context_.stopping = true;
    writers_.clear();
}

}  // namespace homeward::consumer
