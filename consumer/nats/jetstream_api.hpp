#pragma once

// Requests to the JetStream API of one stream, and what its replies say.

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "consumer/nats/nats_connection.hpp"
#include "consumer/nats/stream.hpp"
#include "schemas/nats/jetstream_reply.hpp"

namespace homeward::consumer::jetstream {

inline constexpr std::chrono::seconds kApiPatience{5};

// nats-server's err_code.
inline constexpr int kStreamNotFound = 10059;
inline constexpr int kConsumerNotFound = 10014;

/// The reply to one request of a stream's JetStream API. Throws NatsError if there is none.
std::string call(NatsConnection& nats, const Stream& stream, const std::string& method,
                 const nlohmann::json& body = nlohmann::json::object(),
                 std::chrono::milliseconds patience = kApiPatience);

/// A reply of another shape than JetStream's, as whoever owns a leaf may give, is an error like any
/// other.
template <typename T>
const JetStreamReply<T>& understood(const JetStreamReply<T>& reply, const Stream& stream) {
    if (reply.value || reply.error) return reply;
    throw NatsError(stream.name + ": the answer is not JetStream's: " + reply.malformed);
}

template <typename T>
int error_code(const JetStreamReply<T>& reply) {
    return reply.error ? reply.error->err_code : 0;
}

/// Throws NatsError for a reply that is an error.
void refuse_error(const std::optional<JetStreamError>& error, const Stream& stream,
                  const std::string& what);
template <typename T>
void refuse_error(const JetStreamReply<T>& reply, const Stream& stream, const std::string& what) {
    refuse_error(reply.error, stream, what);
}

JetStreamReply<StreamInfo> stream_info(NatsConnection& nats, const Stream& stream,
                                       std::chrono::milliseconds patience = kApiPatience);
JetStreamReply<ConsumerInfo> durable_info(NatsConnection& nats, const Stream& stream,
                                          std::chrono::milliseconds patience = kApiPatience);
/// As it is on the server. Throws NatsError.
ConsumerInfo read_durable(NatsConnection& nats, const Stream& stream);
/// Creates it, or changes what may be changed. Throws NatsError.
void create_durable(NatsConnection& nats, const Stream& stream, nlohmann::json settings);

/// Of a reply that was parsed already: an object, or there is none.
nlohmann::json config_in(const std::string& text);
/// "" when there is none, or something else.
std::string text_of(const nlohmann::json& settings, const char* key);
/// 0 when there is none, or something else.
std::uint64_t max_ack_pending_in(const nlohmann::json& settings);

}  // namespace homeward::consumer::jetstream
