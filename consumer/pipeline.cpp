#include "consumer/pipeline.hpp"

#include <algorithm>

namespace homeward::consumer {
namespace {

std::chrono::milliseconds shortest_ack_wait(const Config& config, const StreamStates& states) {
    auto shortest = static_cast<std::int64_t>(config.pull.ack_wait_ms);
    for (const auto& [name, state] : states) shortest = std::min(shortest, state.ack_wait_ms);
    return std::chrono::milliseconds(shortest);
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
    : keeper_(parts.nats, shortest_ack_wait(parts.config, parts.states)),
      puller_(parts.nats, streams, parts.config.pull, shortest_ack_wait(parts.config, parts.states),
              streams_away(streams, parts.states)),
      lineage_(parts.nats, std::move(streams)),
      type_holds_(*parts.catalog, parts.metrics),
      source_holds_(parts.config.dead_letters, parts.letter_room, parts.metrics),
      context_{parts.config,
               parts.limits,
               puller_,
               parts.nats,
               keeper_,
               nullptr,
               is_replay ? nullptr : &lineage_,
               parts.memory,
               parts.catalog,
               parts.metrics,
               parts.letter_room,
               type_holds_,
               source_holds_,
               [this](const Stream& stream) { return created_us_.at(stream.name).load(); },
               is_replay} {
    for (const Stream& stream : puller_.streams()) {
        const auto state = parts.states.find(stream.name);
        created_us_[stream.name] = state == parts.states.end() ? 0 : state->second.created_us;
    }
    if (parts.config.postgres.ack_after == "replicated" && !is_replay) {
        gate_.emplace(parts.nats, keeper_, parts.config.postgres, parts.metrics);
        context_.gate = &*gate_;
    }
    for (std::size_t i = 0; i < parts.config.batch.writers; ++i) {
        writers_.push_back(std::make_unique<Writer>(context_));
    }
}

void Pipeline::open(const Stream& stream, const StreamState& state) {
    created_us_.at(stream.name) = state.created_us;
    puller_.open(stream.name);
}

void Pipeline::renew(const Stream& stream, const StreamState& state) {
    created_us_.at(stream.name) = state.created_us;
    lineage_.renew();
}

void Pipeline::stop() {
    puller_.stop();
    context_.stopping = true;
    writers_.clear();
}

}  // namespace homeward::consumer
