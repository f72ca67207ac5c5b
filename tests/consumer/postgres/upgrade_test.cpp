// From the database of an earlier release to this one: what is brought up to date, what goes on
// working beside it, and what is refused, in words.

#include <filesystem>
#include <set>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const std::string kAccount =
    "SELECT origin, publisher, class, region, app, settled, accepted, closed, abandoned"
    " FROM homeward.account ORDER BY origin";

/// A leader, and databases on it. One for all tests here, since each start takes seconds.
class OldLeader {
  public:
    static OldLeader& shared() {
        static OldLeader leader;
        return leader;
    }
    /// A database with the frozen migrations, as v0.1.0 made it; its name.
    std::string released() {
        if (count_ == 0) migrate("released");
        return copy("released");
    }
    /// And with all that a v0.1.0 may have.
    std::string full() {
        const std::string database = released();
        psql(database, {"-1", "-f", HOMEWARD_OLD_DATABASE "/database.sql"});
        return database;
    }
    std::string copy(const std::string& database) {
        std::string name = "app_" + std::to_string(++count_);
        leader_.query("CREATE DATABASE " + name + " TEMPLATE " + database);
        return name;
    }
    /// The frozen migrations, one by one, as v0.1.0 ran them.
    void migrate(const std::string& database, int versions = 8) {
        leader_.query("CREATE DATABASE " + database);
        psql(database, {"-c",
                        "CREATE SCHEMA homeward; CREATE TABLE homeward.migration"
                        " (version int4 PRIMARY KEY, name text NOT NULL,"
                        " applied_at timestamptz NOT NULL DEFAULT now())"});
        std::set<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(HOMEWARD_MIGRATIONS)) {
            if (entry.path().extension() == ".sql") files.insert(entry.path());
        }
        for (const auto& file : files) {
            const std::string stem = file.stem();
            const int version = std::stoi(stem.substr(0, 4));
            if (version > versions) break;
            psql(database, {"-1", "-f", file, "-c",
                            "INSERT INTO homeward.migration (version, name) VALUES (" +
                                std::to_string(version) + ", '" + stem.substr(5) + "')"});
        }
    }
    std::string psql(const std::string& database, const std::vector<std::string>& words) {
        std::vector<std::string> command{"psql",       "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
                                         url(database)};
        command.insert(command.end(), words.begin(), words.end());
        const CommandResult result = run_command(command, {}, 60s);
        INFO(result.output);
        REQUIRE(result.exit_code == 0);
        return result.output;
    }
    std::string ask(const std::string& database, const std::string& sql) {
        return psql(database, {"-c", sql});
    }
    CommandResult consumer(const std::string& database, const std::vector<std::string>& words) {
        std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
        command.insert(command.end(), words.begin(), words.end());
        ProcessOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_URL", url(database)},
                               {"HOMEWARD_SOURCES", "ams"}};
        return run_command(command, options, 60s);
    }

  private:
    std::string url(const std::string& database) const {
        std::string url = leader_.url();
        return url.replace(url.rfind("/postgres"), std::string::npos, "/" + database);
    }
    PostgresServer leader_;
    int count_ = 0;
};

std::string refusal(const CommandResult& result) {
    INFO(result.output);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.output, Contains("HW006"));
    return result.output;
}

}  // namespace

TEST_CASE("a full database of v0.1.0 is brought up to date, and nothing in its account changes") {
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.full();
    const std::string account = leader.ask(app, kAccount);
    const std::string rows = leader.ask(app, "SELECT * FROM audit_events ORDER BY origin, seq");
    CHECK_THAT(account, Contains("{[1,21)}") && Contains("{[1,11),[21,36)}"));

    const CommandResult applied = leader.consumer(app, {"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK(leader.ask(app, kAccount) == account);
    CHECK(leader.ask(app, "SELECT * FROM audit_events ORDER BY origin, seq") == rows);
    CHECK(leader.ask(app, "SELECT count(*) FROM homeward.migration WHERE checksum IS NULL") ==
          "0\n");
    CHECK(leader.consumer(app, {"schema", "plan"}).output.find("up to date") != std::string::npos);
}

TEST_CASE("v0.1.0's consumer gets the same answers from an upgraded leader") {
    // Method: its statements, as a script, on a leader of its own version and on an upgraded one.
    OldLeader& leader = OldLeader::shared();
    const std::string old = leader.full();
    const std::string upgraded = leader.copy(old);
    REQUIRE(leader.consumer(upgraded, {"schema", "apply"}).exit_code == 0);
    const std::vector<std::string> calls{"-f", HOMEWARD_OLD_DATABASE "/calls.sql"};
    const std::string answers = leader.psql(old, calls);
    CHECK_THAT(answers, Contains("HW001") && Contains("0|settled\n1|overlap\n2|new\n3|ragged\n"));
    CHECK(leader.psql(upgraded, calls) == answers);
}

TEST_CASE("names of v0.1.0 work on an upgraded leader, with the rights that were on them") {
    // Method: a role with the rights of a v0.1.0 writer, from before the upgrade.
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.full();
    leader.ask(app,
               "CREATE ROLE old_writer;"
               "GRANT USAGE ON SCHEMA homeward TO old_writer;"
               "GRANT INSERT ON homeward.ledger_mark TO old_writer;"
               "GRANT SELECT ON homeward.account TO old_writer");
    const std::string finished = leader.ask(app, "SELECT * FROM homeward.finished ORDER BY origin");
    const std::string places = leader.ask(app, "SELECT * FROM homeward.place ORDER BY id");
    const std::string conflicts =
        leader.ask(app, "SELECT id, seen_at FROM homeward.conflict ORDER BY id");
    const std::string marks = leader.ask(app, "SELECT * FROM homeward.ledger_mark");
    CHECK_THAT(finished, Contains("|"));
    CHECK_THAT(places, Contains("|"));
    CHECK_THAT(conflicts, Contains("|"));
    CHECK_THAT(marks, Contains("|"));
    REQUIRE(leader.consumer(app, {"schema", "apply"}).exit_code == 0);

    CHECK(leader.ask(app, "SELECT * FROM homeward.finished ORDER BY origin") == finished);
    CHECK(leader.ask(app, "SELECT * FROM homeward.place ORDER BY id") == places);
    CHECK(leader.ask(app, "SELECT id, seen_at FROM homeward.conflict ORDER BY id") == conflicts);
    CHECK(leader.ask(app, "SELECT id, recorded_at FROM homeward.conflict ORDER BY id") ==
          conflicts);
    CHECK(leader.ask(app, "SELECT * FROM homeward.ledger_mark") == marks);
    CHECK(leader.ask(app,
                     "SET ROLE old_writer;"
                     "INSERT INTO homeward.ledger_mark (origin, accepted, closing)"
                     " VALUES (9999, 7, true);"
                     "INSERT INTO homeward.heartbeat (origin, accepted, is_closing)"
                     " VALUES (9999, 8, true);"
                     "SELECT count(*) = (SELECT count(*) FROM homeward.account)"
                     " FROM homeward.origin_status") == "t\n");
    CHECK(leader.ask(app,
                     "SELECT accepted, is_closing FROM homeward.heartbeat"
                     " WHERE origin = 9999 ORDER BY accepted") == "7|t\n8|t\n");
    // `proof abandon` of v0.1.0.
    leader.ask(app, "UPDATE homeward.origin SET abandoned = now() WHERE id = 2");
    CHECK(leader.ask(app, "SELECT abandoned FROM homeward.account WHERE origin = 2") == "t\n");
}

TEST_CASE("a missing migration runs also below newer ones") {
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.released();
    REQUIRE(leader.consumer(app, {"schema", "apply"}).exit_code == 0);
    leader.ask(app,
               "DROP TABLE homeward.conflict CASCADE;"
               "DROP FUNCTION homeward.take_conflict, homeward.conflict_sums, homeward.claim_rest,"
               " homeward.close_conflict, homeward.discard_conflicts;"
               "DELETE FROM homeward.migrated_object WHERE name ~ 'conflict|claim_rest';"
               "DELETE FROM homeward.migration WHERE version = 8");
    const CommandResult applied = leader.consumer(app, {"schema", "apply"});
    INFO(applied.output);
    CHECK(applied.exit_code == 0);
    CHECK(leader.ask(app, "SELECT name FROM homeward.migration WHERE version = 8") ==
          "conflicts\n");
    CHECK(leader.ask(app, "SELECT to_regclass('homeward.conflict')") == "homeward.conflict\n");
}

TEST_CASE("a leader that other files migrated is refused, and the file is named") {
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.released();
    REQUIRE(leader.consumer(app, {"schema", "apply"}).exit_code == 0);
    leader.ask(app, "UPDATE homeward.migration SET checksum = repeat('0', 64) WHERE version = 3");
    for (const char* how : {"plan", "apply"}) {
        CHECK_THAT(refusal(leader.consumer(app, {"schema", how})),
                   Contains("migration 3 (dead_letters) ran with checksum 000000000000"));
    }
    CHECK_THAT(leader.consumer(app, {"check"}).output,
               Contains("WRONG PostgreSQL") && Contains("migration 3 (dead_letters)"));
    leader.ask(app,
               "UPDATE homeward.migration SET checksum = NULL, name = 'letters'"
               " WHERE version = 3");
    CHECK_THAT(refusal(leader.consumer(app, {"schema", "apply"})),
               Contains("migration 3 ran as \"letters\""));
}

TEST_CASE("a leader that a newer program migrated is refused") {
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.released();
    leader.ask(app, "INSERT INTO homeward.migration (version, name) VALUES (9999, 'later')");
    const CommandResult refused = leader.consumer(app, {"schema", "apply"});
    CHECK(refused.exit_code == 2);
    CHECK_THAT(refused.output, Contains("has migration 9999 (later)") && Contains("newer"));
}

TEST_CASE("a leader that a development version between two releases migrated is refused") {
    // Method: migrations of such a version, by name: one has a number of ours, one a higher number.
    OldLeader& leader = OldLeader::shared();
    const std::string app = leader.released();
    leader.ask(app,
               "INSERT INTO homeward.migration (version, name)"
               " VALUES (10, 'plain_ranges'), (9998, 'partitions')");
    for (const char* how : {"plan", "apply"}) {
        CHECK_THAT(refusal(leader.consumer(app, {"schema", how})),
                   Contains("by a development version: migration 10 ran as \"plain_ranges\"") &&
                       Contains("use a new database"));
    }
    CHECK(leader.ask(app, "SELECT to_regclass('homeward.migrated_object')") == "\n");
}

TEST_CASE("a schema that is not what its migrations made is refused, and what differs is named") {
    OldLeader& leader = OldLeader::shared();
    SECTION("of v0.1.0: an object of a migration that has not run, as between two releases") {
        const std::string app = "between";
        leader.migrate(app, 7);
        leader.ask(app, "CREATE TABLE homeward.conflict (id int8)");
        CHECK_THAT(refusal(leader.consumer(app, {"schema", "apply"})),
                   Contains("table conflict is there, but migration 8, which makes it, has not"));
    }
    SECTION("of v0.1.0: a function with another body, another gone") {
        const std::string app = leader.released();
        leader.ask(app,
                   "DROP FUNCTION homeward.conflict_sums;"
                   "CREATE OR REPLACE FUNCTION homeward.missing_after() RETURNS interval"
                   " LANGUAGE sql STABLE AS $$ SELECT interval '1 hour' $$");
        CHECK_THAT(refusal(leader.consumer(app, {"schema", "apply"})),
                   Contains("function conflict_sums() is missing") &&
                       Contains("function missing_after() differs"));
        CHECK_THAT(leader.consumer(app, {"check"}).output,
                   Contains("WRONG PostgreSQL") && Contains("conflict_sums()"));
        CHECK(leader.ask(app, "SELECT max(version) FROM homeward.migration") == "8\n");
    }
    SECTION("of this release") {
        const std::string app = leader.released();
        REQUIRE(leader.consumer(app, {"schema", "apply"}).exit_code == 0);
        // What a user adds is no business of ours.
        leader.ask(app,
                   "CREATE INDEX mine ON homeward.dead_letter (reason);"
                   "CREATE VIEW homeward.my_view AS SELECT 1 AS one");
        CHECK(leader.consumer(app, {"schema", "plan"}).exit_code == 0);
        leader.ask(app,
                   "DROP INDEX homeward.ledger_frame_long;"
                   "ALTER TABLE homeward.tombstone ALTER reason DROP NOT NULL");
        CHECK_THAT(
            refusal(leader.consumer(app, {"schema", "plan"})),
            Contains("index ledger_frame_long is missing") && Contains("table tombstone differs"));
        CHECK_THAT(leader.consumer(app, {"check"}).output, Contains("ledger_frame_long"));
    }
}
