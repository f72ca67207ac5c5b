#include <homeward/replay/role_check.hpp>

namespace homeward::replay {

RoleCheck check_role(bool is_replica, const ReplicaPosition& found,
                     std::optional<std::uint64_t> primary_system_id) {
    RoleCheck check{found.role, found.at.system_id, {}};
    if (primary_system_id && *primary_system_id != found.at.system_id) {
        check.warning =
            "the server is of another database cluster than the primary: it will never have what "
            "is written there; check the replica's host";
    } else if (is_replica && found.role == ServerRole::primary) {
        check.warning =
            "the server should be a read replica, but is a primary: every read may cross the "
            "ocean; check the replica's host and port (5433 on Fly), or PRIMARY_REGION after a "
            "failover";
    } else if (!is_replica && found.role == ServerRole::standby) {
        check.warning =
            "the server should be the primary, but is a standby: every write will be refused; "
            "check DATABASE_URL, or PRIMARY_REGION after a failover";
    }
    return check;
}

}  // namespace homeward::replay
