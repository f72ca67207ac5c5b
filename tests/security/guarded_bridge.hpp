#pragma once

#include <stdexcept>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

/// A bridge whose leader knows four logins of the roles of deploy/roles.sql: migrator (owner),
/// bridge (writer), keeper (upkeep) and auditor (reader).
class GuardedBridge {
  public:
    GuardedBridge() {
        leader().query(roles_);
        leader().query("CREATE ROLE migrator LOGIN IN ROLE homeward_owner");
        leader().query("ALTER ROLE migrator SET role = homeward_owner");
        leader().query("CREATE ROLE bridge LOGIN IN ROLE homeward_writer");
        leader().query("CREATE ROLE keeper LOGIN IN ROLE homeward_upkeep");
        leader().query("CREATE ROLE auditor LOGIN IN ROLE homeward_reader");
        auto& environment = bridge_.environment();
        environment["HOMEWARD_POSTGRES_URL"] = leader().url("bridge");
        environment["HOMEWARD_POSTGRES_UPKEEP_URL"] = leader().url("keeper");
        environment["HOMEWARD_POSTGRES_EVENT_SCHEMA"] = "homeward_events";
        environment["HOMEWARD_SCHEMA_AUTOMATIC"] = "false";
        environment["HOMEWARD_POSTGRES_OWNER_URL"] = leader().url("migrator");
        const CommandResult applied = bridge_.consumer_command({"schema", "apply"});
        INFO(applied.output);
        REQUIRE(applied.exit_code == 0);
        leader().query(roles_);
        // The consumer itself is not told how to log in as the owner.
        environment.erase("HOMEWARD_POSTGRES_OWNER_URL");
    }
    Bridge& bridge() { return bridge_; }
    PostgresServer& leader() { return bridge_.leader(); }

    /// The message with which the leader refuses; empty when it does not.
    std::string refusal(const std::string& user, const std::string& sql) {
        try {
            query_as(user, sql);
            return "";
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }
    Rows query_as(const std::string& user, const std::string& sql) {
        return leader().query("SET SESSION AUTHORIZATION " + user + "; " + sql);
    }

  private:
    std::string roles_ = read_file(HOMEWARD_ROLES_SQL);
    Bridge bridge_;
};

}  // namespace homeward::testing
