// Ruby's session consistency over another engine: a real MariaDB leader and a replica by GTID.

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/mariadb_server.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE(
    "a Ruby session over MariaDB reads its own writes from a replica, or knows that it cannot") {
    MariadbServer leader;
    leader.query("CREATE DATABASE shop; USE shop; CREATE TABLE counter (n int)");
    const auto replica = MariadbServer::replica_of(leader);
    const std::string position = leader.query("SELECT @@gtid_binlog_pos").at(0).at(0);
    replica->query("SELECT MASTER_GTID_WAIT('" + position + "', 60)");
    ProcessOptions options;
    options.environment = {{"HOMEWARD_LIBRARY", HOMEWARD_C_LIBRARY},
                           {"RUBYLIB", HOMEWARD_RUBY_DIR}};
    const CommandResult ran =
        run_command({"ruby", "-w", std::string(HOMEWARD_RUBY_TESTS) + "/mariadb_session.rb",
                     std::to_string(leader.port()), std::to_string(replica->port())},
                    options, 120s);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output ==
          "written: covered standby\n"
          "stopped: behind standby\n"
          "leader: covered primary\n"
          "replica signs: nil\n"
          "started: covered standby\n"
          "rows: 2\n"
          "away: position_unknown unknown\n"
          "another engine: not_asked unknown\n"
          "unknown engine oracle\n"
          "ask: is needed for mysql\n");
}
