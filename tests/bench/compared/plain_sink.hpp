#pragma once

#include <cstdint>
#include <string>

namespace homeward::bench {

/// What a user would write to bring single JSON messages into PostgreSQL, in a hundred lines:
/// nats.c's Fetch of up to 1,000, nlohmann::json, one binary COPY by libpq into `audit_events`,
/// COMMIT, and an acknowledgement for each message; one connection to each, one thread, one thing
/// after the other. It has no ledger, no retry, no dead letters, no proof, no partitions of its
/// own: a message that comes again is a second row, and a bad one ends it. Returns when so many
/// have come; throws std::runtime_error.
void sink_plain(const std::string& nats_url, const std::string& postgres_url,
                const std::string& stream, const std::string& durable, std::uint64_t messages);

}  // namespace homeward::bench
