#pragma once

#include <cstdint>
#include <string>

#include "tests/support/servers/nats_server.hpp"

namespace homeward::bench {

inline constexpr const char* kRegion = "ams";
inline constexpr const char* kRawStream = "RAW";
inline constexpr const char* kRawSubject = "raw.audit";

/// The streams of region ams as `homeward-consumer streams apply` makes them, and one like them
/// for single messages at kRawSubject. Throws std::runtime_error.
void make_streams(const testing::NatsServer& server);

/// Takes no more than so many messages from now on; refuses the others.
void limit_streams(const testing::NatsServer& server, std::uint64_t messages_max);

/// An empty stream in its place, between two measurements: streams deny purging.
void renew_stream(const testing::NatsServer& server, const std::string& stream);

}  // namespace homeward::bench
