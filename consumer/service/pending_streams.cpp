#include "consumer/service/pending_streams.hpp"

#include <spdlog/spdlog.h>

namespace homeward::consumer {

PendingStreams::PendingStreams(NatsConnection& nats, const std::vector<Stream>& streams,
                               const StreamStates& states, Pipeline& pipeline)
    : nats_(nats), streams_(streams), pipeline_(pipeline) {
    for (const Stream& stream : streams) {
        if (states.count(stream.name) == 0) waiting_.insert(stream.name);
    }
}

bool PendingStreams::is_waiting(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return waiting_.count(name) == 1;
}

std::set<std::string> PendingStreams::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
}

void PendingStreams::seen(const Stream& stream, const StreamState& state) {
    if (!is_waiting(stream.name)) return;
    // At the start its domain could not be asked.
    const auto duplicate_streams = find_duplicate_streams(nats_, streams_);
    if (!duplicate_streams.empty()) {
        if (refused_.insert(stream.name).second)
            spdlog::error("{} is not consumed: {}", stream.name, duplicate_streams.front());
        return;
    }
    pipeline_.open(stream, state);
    spdlog::info("{} of region {} answers now, and is consumed", stream.name, stream.region);
    const std::lock_guard lock(mutex_);
    waiting_.erase(stream.name);
}

}  // namespace homeward::consumer
