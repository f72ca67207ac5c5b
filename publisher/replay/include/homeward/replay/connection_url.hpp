#pragma once

// The connection string of a region, as the guide has it: in the primary region DATABASE_URL as it
// is; elsewhere its host becomes "<region>.<host>" and its port 5433, which is the replica itself.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/decide.hpp>

namespace homeward::replay {

struct UrlError {
    std::string what;  ///< for a person; holds nothing of the connection string
};

struct RegionalUrl {
    std::string url;
    bool is_replica = false;
    std::optional<UrlError> error;
};

/// How a host name becomes the replica's.
enum class UrlRule : std::uint8_t {
    /// As the guide has it, but from what the platform's names stand for: "<app>.flycast",
    /// "top1.nearest.of.<app>.internal" and "<primary>.<app>.internal" count as "<app>.internal".
    by_host,
    region_host,  ///< the region before the host, whatever it is
    nearest,      ///< "top1.nearest.of.<app>.internal": also where a region has no replica
    same_host,    ///< the host stays: a pooler or proxy that has the replica on another port
};
/// "by_host": as in DATABASE_REPLICA_RULE.
std::optional<UrlRule> url_rule_of(std::string_view name);

struct UrlOptions {
    /// Where no rule fits (another cloud, a laptop, managed databases): used as it is in every
    /// region but the primary.
    std::string replica_url;
    /// 5433 is the server itself, past the platform's proxy; 0 keeps DATABASE_URL's port, for a
    /// pooler that runs beside each server.
    unsigned replica_port = 5433;
    UrlRule rule = UrlRule::by_host;
};

/// `database_url`: postgres:// or postgresql://, or libpq's "host=… port=…". With several hosts
/// the rule goes for each. Everything but hosts, ports and a target_session_attrs that would refuse
/// a replica is kept byte for byte.
RegionalUrl regional_url(std::string_view database_url, const Regions& regions,
                         const UrlOptions& options = {});

/// PRIMARY_REGION and FLY_REGION.
Regions regions_from_environment();
/// DATABASE_URL for where we are; DATABASE_REPLICA_URL, DATABASE_REPLICA_PORT and
/// DATABASE_REPLICA_RULE, where they are set, as in UrlOptions.
RegionalUrl url_from_environment();

}  // namespace homeward::replay
