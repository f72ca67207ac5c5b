#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/nats/nats_connection.hpp"

namespace homeward::consumer {

/// One stream with its durable consumer, and how to reach its JetStream API.
struct Stream {
    StreamKind kind;
    std::string region;
    std::string domain;
    std::string name;
    std::string durable;
    std::size_t replicas = 1;
    std::size_t bytes_max = 0;  ///< 0: no limit of its own

    /// "$JS.API." or "$JS.<domain>.API."
    std::string api() const;
};

/// Every stream that the configuration names.
std::vector<Stream> streams_of(const Config& config);

struct StreamState {
    std::int64_t created_us = 0;
    std::uint64_t first_seq = 0;  ///< of the oldest message that it holds, or of the next
    std::int64_t first_us = 0;    ///< when the oldest message that it holds was stored
    bool keeps_history = false;   ///< also of what is acknowledged
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_max = 0;  ///< 0: no limit
    std::uint64_t ack_floor = 0;  ///< all sequences up to this are acknowledged
    std::uint64_t ack_pending = 0;
    std::int64_t ack_wait_ms = 0;       ///< of the durable, whatever the configuration says by now
    std::uint64_t unprocessed = 0;      ///< not yet delivered once
    std::uint64_t max_ack_pending = 0;  ///< 0: no limit
    std::int64_t max_deliver = -1;      ///< deliveries after which the durable gives up; -1: never

    /// Messages that are neither waiting nor delivered: the durable has lost them, and they stay in
    /// the stream for ever. A passing value says nothing, since messages come and go between two
    /// questions; one that stays for a minute does. 0 for a stream with a history.
    std::uint64_t undeliverable() const {
        const std::uint64_t known = unprocessed + ack_pending;
        return keeps_history || messages <= known ? 0 : messages - known;
    }
};
/// nullopt if the stream or its durable is not there; throws NatsError when nobody answers.
std::optional<StreamState> read_state(NatsConnection& nats, const Stream& stream,
                                      std::chrono::milliseconds patience = std::chrono::seconds(5));

/// One line for each of these streams whose name is in another of their domains too, or in that of
/// the server itself. An ack subject names no domain: an ack for one deletes messages of the other.
/// A domain that does not answer is not looked at.
std::vector<std::string> find_duplicate_streams(NatsConnection& nats,
                                                const std::vector<Stream>& streams);

/// The same stream with a fresh durable that begins at `since_us` and vanishes when it is not used.
Stream open_history(NatsConnection& nats, const Stream& stream, std::int64_t since_us,
                    const Config& config);

/// Free text of a durable; empty when there is none. Throws NatsError.
std::string read_description(NatsConnection& nats, const Stream& stream);
/// Makes it this text, unless it is that already. Throws NatsError.
void write_description(NatsConnection& nats, const Stream& stream, const std::string& text);

/// So many messages may be delivered and not acknowledged. Throws NatsError.
void write_max_ack_pending(NatsConnection& nats, const Stream& stream, std::uint64_t messages);
/// Changes how long a message may be in hand without a word. Throws NatsError.
void write_ack_wait(NatsConnection& nats, const Stream& stream, std::chrono::milliseconds ack_wait);

/// What streams apply would do, one line each; empty when everything is as wanted.
std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config);
/// Creates what is missing and changes limits that differ; never deletes, and refuses what would
/// need it. A limit that what waits exceeds, or may soon, stays as it is. Returns what it did.
std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config);
/// The same for one of them.
std::vector<std::string> apply_stream(NatsConnection& nats, const Config& config,
                                      const Stream& stream);

}  // namespace homeward::consumer
