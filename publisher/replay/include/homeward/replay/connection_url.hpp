#pragma once

/// @file
/// The connection string of a region, as in the guide. In the primary region it is DATABASE_URL;
/// elsewhere the host becomes "<region>.<host>" and the port 5433, which is the replica itself.
/// MySQL, MariaDB, MongoDB and Redis have the same rule for the host, and keep their port.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/engine.hpp>

namespace homeward::replay {

/// Why there is no connection string.
struct UrlError {
    std::string what;  ///< for an operator; holds nothing of the connection string
};

/// A connection string, or the reason why there is none.
struct RegionalUrl {
    std::string url;                ///< empty on an error
    bool is_replica = false;        ///< of a replica, not of the primary
    std::optional<UrlError> error;  ///< set if no rule fits
};

/// The guide's port of a PostgreSQL replica: the server itself, past the platform's proxy.
inline constexpr unsigned kReplicaPort = 5433;

/// How a host name becomes the replica's.
enum class UrlRule : std::uint8_t {
    /// As the guide has it, but from what the platform's names stand for: "<app>.flycast",
    /// "top1.nearest.of.<app>.internal" and "<primary>.<app>.internal" count as "<app>.internal".
    by_host,
    region_host,  ///< the region before the host, whatever it is
    nearest,      ///< "top1.nearest.of.<app>.internal": also where a region has no replica
    same_host,    ///< the host stays: a pooler or proxy that has the replica on another port
};
/// Parses a rule's name as in DATABASE_REPLICA_RULE. Any thread.
/// @param name "by_host", "region_host", "nearest" or "same_host"
/// @return nothing for any other name
std::optional<UrlRule> url_rule_of(std::string_view name);

/// How the replica's connection string is made.
struct UrlOptions {
    /// Where no rule fits (another cloud, a laptop, managed databases): used as it is in every
    /// region but the primary.
    std::string replica_url;
    /// 0 keeps DATABASE_URL's port, for a pooler that runs beside each server. Not set:
    /// kReplicaPort for PostgreSQL. For other engines DATABASE_URL's port stays; without one their
    /// clients take the engine's (3306, 27017, 6379).
    std::optional<unsigned> replica_port{};
    /// How the host changes.
    UrlRule rule = UrlRule::by_host;
};

/// Makes the connection string of the current region. Everything but hosts, ports and a
/// target_session_attrs that would refuse a replica is kept byte for byte. Any thread.
/// @param database_url postgres:// or postgresql://, or libpq's "host=… port=…"; or mysql://,
///     mariadb://, mongodb://, redis:// or rediss://. The rule applies to each of several hosts.
///     MongoDB's URL must have one host, and gets directConnection=true instead of replicaSet
/// @param regions where this process runs
/// @param options rule and port
/// @return the string, or an error that repeats nothing of it
RegionalUrl regional_url(std::string_view database_url, const Regions& regions,
                         const UrlOptions& options = {});

/// Reads PRIMARY_REGION and FLY_REGION. Not while another thread changes the environment.
/// @return the regions; empty names if the variables are not set
Regions regions_from_environment();
/// Makes the connection string from DATABASE_URL, PRIMARY_REGION and FLY_REGION. If set,
/// DATABASE_REPLICA_URL, DATABASE_REPLICA_PORT and DATABASE_REPLICA_RULE act as UrlOptions. Not
/// while another thread changes the environment.
/// @return as regional_url()
RegionalUrl url_from_environment();

}  // namespace homeward::replay
