#pragma once

// Names on the wire: subjects, streams, durables, headers. Region and app are believed from the
// subject, since the credentials of a NATS user decide to which subjects it may publish.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <homeward/event_class.hpp>
#include "schemas/wire/publisher_id.hpp"

namespace homeward {

inline constexpr std::string_view kMessageIdHeader = "Nats-Msg-Id";

/// True for [a-z0-9][a-z0-9_-]{0,31}: safe in a subject, a stream name and a metric label.
bool is_valid_name(std::string_view region_or_app);

/// What one stream carries.
enum class StreamKind : unsigned char { audit, metric, plain };
std::string_view to_string(StreamKind kind);
StreamKind stream_kind(EventClass event_class);

/// "homeward.frame.audit.ams.shop"
std::string frame_subject(EventClass event_class, std::string_view region, std::string_view app);
/// "homeward.plain.ams.shop": one JSON event, or NDJSON, from any NATS client
std::string plain_subject(std::string_view region, std::string_view app);
/// What a stream listens to: "homeward.frame.audit.ams.>" or "homeward.plain.ams.>"
std::string stream_subjects(StreamKind kind, std::string_view region);
/// "HOMEWARD_AUDIT_ams"; unique across regions, because an ack subject names no domain
std::string stream_name(StreamKind kind, std::string_view region);
/// "homeward_audit_ams"
std::string durable_name(StreamKind kind, std::string_view region);
/// "_INBOX.homeward.ams.shop.": what an app's login may subscribe to; deploy/nats/generate grants
/// it
std::string app_inbox_prefix(std::string_view region, std::string_view app);
/// "_INBOX.homeward.consumer.ams.": where the leaf of a JetStream domain may answer the consumer;
/// the domain is "-" when it is the server's own
std::string consumer_inbox_prefix(std::string_view domain);
/// The first 128 bits of the SHA-256 of a frame, as hex: a retry keeps it, and nobody who has not
/// seen the frame can publish under it first. Within the stream's duplicate window a retry is not
/// even stored again; nothing else depends on it.
std::string message_id(std::span<const std::byte> frame);

struct SubjectParts {
    StreamKind kind;
    std::string_view region;  ///< points into the parsed subject
    std::string_view app;
};
/// nullopt for anything that the functions above do not make.
std::optional<SubjectParts> parse_subject(std::string_view subject);

}  // namespace homeward
