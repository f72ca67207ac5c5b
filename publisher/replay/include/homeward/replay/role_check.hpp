#pragma once

/// @file
/// Whether a connection string led to the intended server. Pure; any thread. verify_role() in
/// libpq.hpp and libpqxx.hpp queries the server.

#include <cstdint>
#include <optional>
#include <string>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// The result of check_role().
struct RoleCheck {
    ServerRole role = ServerRole::unknown;  ///< of the server
    std::uint64_t system_id = 0;            ///< of its cluster
    std::string warning;  ///< one sentence for an operator; empty if it is the intended server
};

/// Checks a server's role and cluster. Any thread.
/// @param is_replica RegionalUrl::is_replica
/// @param found the server's position
/// @param primary_system_id of the primary, if known
/// @return role, cluster and a warning
RoleCheck check_role(bool is_replica, const ReplicaPosition& found,
                     std::optional<std::uint64_t> primary_system_id = {});

}  // namespace homeward::replay
