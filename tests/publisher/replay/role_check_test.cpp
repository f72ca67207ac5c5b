#include <homeward/replay/role_check.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const ReplicaPosition kPrimary{{7, 1, 100}, ServerRole::primary};
const ReplicaPosition kStandby{{7, 1, 100}, ServerRole::standby};

}  // namespace

TEST_CASE("the server that was meant gets no warning") {
    CHECK(check_role(true, kStandby).warning.empty());
    CHECK(check_role(true, kStandby, 7).warning.empty());
    CHECK(check_role(false, kPrimary).warning.empty());
    CHECK(check_role(true, kStandby).role == ServerRole::standby);
    CHECK(check_role(true, kStandby).system_id == 7);
}

TEST_CASE("a replica that is a primary, a primary that is a replica, and a stranger are told") {
    CHECK(check_role(true, kPrimary).warning.find("should be a read replica") != std::string::npos);
    CHECK(check_role(false, kStandby).warning.find("should be the primary") != std::string::npos);
    CHECK(check_role(true, kStandby, 8).warning.find("another database cluster") !=
          std::string::npos);
}
