#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What nats-server, or whoever answers in its place, says to a JetStream request or publish. All
// replies are parsed here, for the publisher and the consumer. Parsers never throw, whatever the
// bytes; they are pure and may be called by any thread. Texts that reach a log are cut to
// kReplyTextMax bytes and have no control characters.

namespace homeward {

/// Longer replies are malformed. A stream's configuration with thousands of subjects fits.
inline constexpr std::size_t kReplyBytesMax = 4u << 20;
/// Deeper nesting is malformed: JSON values are written and destroyed recursively.
inline constexpr std::size_t kReplyDepthMax = 32;
/// Of a description or reason, in bytes.
inline constexpr std::size_t kReplyTextMax = 256;

/// {"error":{"code":503,"err_code":10077,"description":"…"}}
struct JetStreamError {
    int code = 0;             ///< an HTTP status; 0 if the reply gives none
    int err_code = 0;         ///< nats-server's own number; 0 if the reply gives none
    std::string description;  ///< never empty
};

/// Exactly one of the three: a value, the server's error, or why this is no JetStream reply.
template <typename T>
struct JetStreamReply {
    std::optional<T> value;
    std::optional<JetStreamError> error;
    std::string malformed;
};

/// {"stream":"HOMEWARD_AUDIT_ams","seq":7,"duplicate":true}
struct PubAck {
    std::string stream;
    std::uint64_t seq = 0;
    bool is_duplicate = false;  ///< the stream had a message of this Nats-Msg-Id already
};

/// $JS.API.INFO
struct JetStreamAccount {
    std::string domain;
};

/// $JS.API.STREAM.NAMES: one page of them.
struct StreamNames {
    std::vector<std::string> names;
};

/// $JS.API.STREAM.INFO, CREATE and UPDATE
struct StreamInfo {
    std::string config;  ///< the whole configuration: the text of a JSON object
    std::string retention;
    std::int64_t max_bytes = -1;
    std::string created;          ///< RFC 3339
    std::string first_ts;         ///< RFC 3339
    std::uint64_t first_seq = 0;  ///< of the oldest message, or of the next when there is none
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
};

/// $JS.API.CONSUMER.INFO, CREATE and DURABLE.CREATE
struct ConsumerInfo {
    std::string config;  ///< the whole configuration: the text of a JSON object
    std::string description;
    std::int64_t ack_wait_ns = 0;
    std::uint64_t ack_pending = 0;
    std::uint64_t pending = 0;    ///< not yet delivered once
    std::uint64_t ack_floor = 0;  ///< all sequences of the stream up to this are acknowledged
};

JetStreamReply<PubAck> parse_pub_ack(std::string_view text) noexcept;
JetStreamReply<JetStreamAccount> parse_account(std::string_view text) noexcept;
JetStreamReply<StreamNames> parse_stream_names(std::string_view text) noexcept;
JetStreamReply<StreamInfo> parse_stream_info(std::string_view text) noexcept;
JetStreamReply<ConsumerInfo> parse_consumer_info(std::string_view text) noexcept;

/// The status line of a message without payload, such as "409", "Message Size Exceeds MaxBytes".
struct PullStatus {
    int code = 0;  ///< 100 to 599; 0: no status
    std::string description;
};
PullStatus parse_pull_status(std::string_view code, std::string_view description) noexcept;

/// Fit for a log: at most kReplyTextMax bytes, control characters replaced by '?'.
std::string printable(std::string_view text);

}  // namespace homeward
