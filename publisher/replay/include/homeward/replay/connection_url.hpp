#pragma once

// The connection string of a region, as the guide has it: in the primary region DATABASE_URL as it
// is; elsewhere its host becomes "<region>.<host>" and its port 5433, which is the replica itself.

#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/decide.hpp>

namespace homeward::replay {

struct UrlError {
    std::string what;  ///< for a person; never holds the password
};

struct RegionalUrl {
    std::string url;
    bool is_replica = false;
    std::optional<UrlError> error;
};

struct UrlOptions {
    /// Where the platform's rule does not fit (another cloud, a laptop): used as it is in every
    /// region but the primary.
    std::string replica_url;
    unsigned replica_port = 5433;
};

/// `database_url`: postgres:// or postgresql://. Everything but host and port is kept byte for
/// byte.
RegionalUrl regional_url(std::string_view database_url, const Regions& regions,
                         const UrlOptions& options = {});

/// PRIMARY_REGION and FLY_REGION.
Regions regions_from_environment();
/// DATABASE_URL for where we are; DATABASE_REPLICA_URL, if set, as UrlOptions::replica_url.
RegionalUrl url_from_environment();

}  // namespace homeward::replay
