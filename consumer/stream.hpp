#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consumer/config.hpp"
#include "consumer/nats_connection.hpp"

namespace homeward::consumer {

/// One stream with its durable consumer, and how to reach its JetStream API.
struct Stream {
    StreamKind kind;
    std::string region;
    std::string domain;
    std::string name;
    std::string durable;

    /// "$JS.API." or "$JS.<domain>.API."
    std::string api() const;
};

/// Every stream that the configuration names.
std::vector<Stream> streams_of(const Config& config);

struct StreamState {
    std::int64_t created_us = 0;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t ack_pending = 0;
    std::int64_t ack_wait_ms = 0;   ///< of the durable, whatever the configuration says by now
    std::uint64_t unprocessed = 0;  ///< not yet delivered once
};
/// nullopt if the stream or its durable is not there; throws NatsError when nobody answers.
std::optional<StreamState> read_state(NatsConnection& nats, const Stream& stream);

/// What streams apply would do, one line each; empty when everything is there.
std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config);
/// Creates what is missing and updates limits of durables; never deletes. Returns what it did.
std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config);

}  // namespace homeward::consumer
