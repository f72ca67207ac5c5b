#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "consumer/base/config.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "consumer/nats/stream.hpp"

namespace homeward::consumer {

/// Streams and durables that vanish while they are consumed, as somebody has deleted them or a
/// leaf has lost its disk: names them, and after some looks makes them again as `streams apply`
/// would. And raises the durables' max_ack_pending before messages that are held, and wait to come
/// again, take the place of all others. Borrows all it is given. One thread.
class StreamRepair {
  public:
    using OnRepaired = std::function<void(const Stream&, const StreamState&)>;
    /// `on_repaired`: the stream is there again, perhaps another one with sequences from 1.
    StreamRepair(NatsConnection& nats, const Config& config, Metrics& metrics,
                 OnRepaired on_repaired)
        : nats_(nats), config_(config), metrics_(metrics), on_repaired_(std::move(on_repaired)) {}

    /// What a look at the stream has found; nothing: it, or its durable, is not there. Throws
    /// NatsError.
    void seen(const Stream& stream, const std::optional<StreamState>& state);

  private:
    void repair(const Stream& stream);
    void keep_room(const Stream& stream, const StreamState& state);

    NatsConnection& nats_;
    const Config& config_;
    Metrics& metrics_;
    OnRepaired on_repaired_;
    std::map<std::string, int> looks_in_vain_;  // in a row, by stream
    std::set<std::string> full_;                // of messages that are held
};

}  // namespace homeward::consumer
