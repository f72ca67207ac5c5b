#pragma once

// Whether the server that a connection string led to is the one that was meant. Pure; any thread.
// verify_role() of libpq.hpp and libpqxx.hpp asks the server.

#include <cstdint>
#include <optional>
#include <string>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

struct RoleCheck {
    ServerRole role = ServerRole::unknown;
    std::uint64_t system_id = 0;
    std::string warning;  ///< one sentence for a person; empty when all is as it should be
};

/// `is_replica`: RegionalUrl::is_replica. `primary_system_id`: of the primary, where it is known.
RoleCheck check_role(bool is_replica, const ReplicaPosition& found,
                     std::optional<std::uint64_t> primary_system_id = {});

}  // namespace homeward::replay
