#pragma once

/// @file
/// Errors of Redis and Valkey as causes, for any client library. Header only, without a dependency.
/// Pure; any thread.

#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

namespace detail {

inline constexpr std::string_view kRedisServer = "Redis 7.0.15, src/server.c";
inline constexpr std::string_view kRedisCluster = "Redis 7.0.15, src/cluster.c";
inline constexpr std::string_view kRedisBlocked = "Redis 7.0.15, src/blocked.c";

}  // namespace detail

/// First words with a rule. Valkey has them from Redis 7.2.
inline constexpr CodedCause<std::string_view> kRedisCauses[] = {
    {"READONLY", "a write to a replica", Cause::read_only, detail::kRedisServer},
    {"NOREPLICAS", "min-replicas-to-write", Cause::read_only, detail::kRedisServer},
    {"MISCONF", "stop-writes-on-bgsave-error", Cause::read_only, detail::kRedisServer},
    // EXEC after a command that was refused when it was queued; its reply has the reason.
    {"EXECABORT", "a refused MULTI", Cause::unsupported, detail::kRedisServer},
    // Scripts that the primary has loaded are not replicated.
    {"NOSCRIPT", "an unknown script", Cause::unknown_name, detail::kRedisServer},
    {"TRYAGAIN", "keys that move to another node", Cause::conflict, detail::kRedisCluster},
    {"LOADING", "a server that starts", Cause::connection, detail::kRedisServer},
    {"MASTERDOWN", "replica-serve-stale-data no", Cause::connection, detail::kRedisServer},
    {"CLUSTERDOWN", "a cluster without its majority", Cause::connection, detail::kRedisCluster},
    // A script or module that runs too long: the server answers nobody.
    {"BUSY", "a script that runs", Cause::connection, detail::kRedisServer},
    // A blocking command whose server changed its role; it took nothing.
    {"UNBLOCKED", "a change of role", Cause::connection, detail::kRedisBlocked},
};

/// What an error reply of Redis or Valkey means. Any thread.
/// @param error_line the reply, with or without its '-'; "" for no error. A lost connection has no
///     line: hiredis.hpp
/// @return Cause::other for a first word without a rule
constexpr Cause cause_of_redis(std::string_view error_line) {
    if (!error_line.empty() && error_line.front() == '-') error_line.remove_prefix(1);
    if (error_line.empty()) return Cause::none;
    const std::string_view word = error_line.substr(0, error_line.find_first_of(" \r\n"));
    for (const auto& known : kRedisCauses) {
        if (known.code == word) return known.cause;
    }
    return Cause::other;
}

}  // namespace homeward::replay
