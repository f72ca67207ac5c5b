#include "tests/publisher/replay/battery/battery.hpp"

#include <homeward/replay/decide.hpp>
#include <homeward/replay/postgres.hpp>

#include <algorithm>

namespace homeward::testing {
namespace {

const char* const kTellsNobody = "(no error)";

std::string verdict_of(const std::string& sqlstate) {
    replay::Situation situation;
    situation.method = "POST";
    situation.has_handler_run = true;
    situation.server_role = replay::ServerRole::standby;
    situation.cause = replay::cause_of_sqlstate(sqlstate);
    const replay::Regions regions{"scl", "ams"};
    const auto decision = decide(situation, regions);
    if (decision.verdict == replay::Verdict::replay) {
        return "replayed: `" + std::string(name_of(decision.reason)) + "`";
    }
    if (sqlstate.empty()) return "served here";
    replay::Policy policy;
    policy.schema_lag = true;
    return decide(situation, regions, policy).verdict == replay::Verdict::replay
               ? "the app's error, or replayed with `schema_lag`"
               : "the app's error: send it by its method";
}

std::string first_of(const std::string& sqlstates) {
    return sqlstates.substr(0, sqlstates.find('|'));
}

}  // namespace

const char* const kBatterySchema =
    "CREATE TABLE note (id int PRIMARY KEY, n int);"
    "INSERT INTO note VALUES (1, 1);"
    "CREATE SEQUENCE number;"
    "CREATE UNLOGGED TABLE scratch (n int);"
    "CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM note;"
    "CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS 'INSERT INTO note VALUES (9, 9)';"
    "CREATE PROCEDURE write_it() LANGUAGE sql AS 'INSERT INTO note VALUES (9, 9)';"
    "CREATE FUNCTION hides() RETURNS void LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO note VALUES (9, 9); EXCEPTION WHEN OTHERS THEN NULL; END';"
    "SELECT lo_create(77);";

const char* const kBatteryMigration =
    "CREATE TABLE later (n int);"
    "ALTER TABLE note ADD COLUMN later int;"
    "CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1';";

const std::vector<Statement>& battery() {
    static const std::vector<Statement> all = {
        {"INSERT", "INSERT INTO note VALUES (2, 2)", "25006"},
        {"ON CONFLICT DO NOTHING", "INSERT INTO note VALUES (1, 1) ON CONFLICT DO NOTHING",
         "25006"},
        {"UPDATE", "UPDATE note SET n = 2 WHERE false", "25006"},
        {"DELETE", "DELETE FROM note WHERE false", "25006"},
        {"MERGE",
         "MERGE INTO note USING (SELECT 1 AS id) new ON new.id = note.id"
         " WHEN MATCHED THEN UPDATE SET n = 3",
         "25006"},
        {"WITH … INSERT", "WITH new AS (INSERT INTO note VALUES (3, 3) RETURNING id) TABLE new",
         "25006"},
        {"COPY FROM", "COPY note FROM '/dev/null'", "25006"},
        {"TRUNCATE", "TRUNCATE note", "25006"},
        {"nextval", "SELECT nextval('number')", "25006"},
        {"setval", "SELECT setval('number', 7)", "25006"},
        {"SELECT … FOR UPDATE", "SELECT * FROM note FOR UPDATE", "25006"},
        {"FOR NO KEY UPDATE", "SELECT * FROM note FOR NO KEY UPDATE", "25006"},
        {"FOR SHARE", "SELECT * FROM note FOR SHARE", "25006"},
        {"FOR KEY SHARE", "SELECT * FROM note FOR KEY SHARE", "25006"},
        {"a cursor FOR UPDATE", "DECLARE hand CURSOR FOR SELECT * FROM note FOR UPDATE", "25006",
         Where::in_block},
        {"LOCK TABLE", "LOCK TABLE note", "25006"},
        {"functions", "SELECT writes()", "25006"},
        {"CALL", "CALL write_it()", "25006"},
        {"DO that write", "DO 'BEGIN INSERT INTO note VALUES (5, 5); END'", "25006"},
        {"EXPLAIN ANALYZE INSERT", "EXPLAIN ANALYZE INSERT INTO note VALUES (6, 6)", "25006"},
        {"CREATE TABLE", "CREATE TABLE fresh (n int)", "25006"},
        {"CREATE TEMP TABLE", "CREATE TEMP TABLE fresh (n int)", "25006"},
        {"SELECT INTO", "SELECT 1 AS n INTO TEMP fresh", "25006"},
        {"CREATE INDEX", "CREATE INDEX ON note (n)", "25006"},
        {"ALTER", "ALTER TABLE note ADD COLUMN more int", "25006"},
        {"DROP", "DROP TABLE note", "25006"},
        {"GRANT", "GRANT SELECT ON note TO PUBLIC", "25006"},
        {"COMMENT", "COMMENT ON TABLE note IS 'text'", "25006"},
        {"CREATE ROLE", "CREATE ROLE visitor", "25006"},
        {"CREATE EXTENSION", "CREATE EXTENSION plpgsql", "25006"},
        {"LISTEN", "LISTEN news", "25006"},
        {"NOTIFY", "NOTIFY news", "25006"},
        {"pg_notify()", "SELECT pg_notify('news', 'text')", "25006"},
        {"VACUUM", "VACUUM note", "25006"},
        {"ANALYZE", "ANALYZE note", "25006"},
        {"REINDEX", "REINDEX TABLE note", "25006"},
        {"CLUSTER", "CLUSTER note USING note_pkey", "25006"},
        {"REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW summary", "25006"},
        {"PREPARE TRANSACTION", "PREPARE TRANSACTION 'two'", "25006", Where::in_block},
        {"pg_current_xact_id()", "SELECT pg_current_xact_id()", "25006"},

        {"SERIALIZABLE", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "0A000", Where::first},
        {"READ WRITE", "SET TRANSACTION READ WRITE", "0A000", Where::first},
        {"an unlogged table", "SELECT * FROM scratch", "0A000"},

        {"a table that the replica does not have yet", "SELECT * FROM later", "42P01"},
        {"a column that it does not have yet", "SELECT later FROM note", "42703"},
        {"a function that it does not have yet", "SELECT later()", "42883"},

        {"lo_create()", "SELECT lo_create(0)", "XX000|25006"},
        {"lowrite()", "SELECT lowrite(lo_open(77, 131072), 'text')", "XX000|25006"},
        {"pg_logical_emit_message()", "SELECT pg_logical_emit_message(true, 'a', 'b')", "XX000"},
        {"lo_unlink()", "SELECT lo_unlink(77)", "55000|25006"},
        {"pg_switch_wal()", "SELECT pg_switch_wal()", "55000"},

        {"advisory locks (held on this replica only)", "SELECT pg_advisory_xact_lock(1)", ""},
        {"pg_try_advisory_lock()", "SELECT pg_try_advisory_lock(2)", ""},
        {"LOCK TABLE … IN ROW EXCLUSIVE MODE and weaker", "LOCK TABLE note IN ROW EXCLUSIVE MODE",
         "", Where::in_block},
        {"EXPLAIN INSERT", "EXPLAIN INSERT INTO note VALUES (6, 6)", ""},
        {"UNLISTEN", "UNLISTEN news", ""},
        {"SET", "SET default_transaction_read_only = off", ""},
        {"a function that hides its error", "SELECT hides()", ""},
        {"reads", "SELECT * FROM note", ""},
    };
    return all;
}

bool is_expected(const Statement& statement, const std::string& sqlstate) {
    const std::string& all = statement.sqlstate;
    const std::size_t bar = all.find('|');
    return sqlstate == all.substr(0, bar) ||
           (bar != std::string::npos && sqlstate == all.substr(bar + 1));
}

std::vector<std::string> battery_table() {
    std::vector<std::string> states;
    for (const Statement& statement : battery()) {
        const std::string state = first_of(statement.sqlstate);
        if (std::find(states.begin(), states.end(), state) == states.end()) states.push_back(state);
    }
    std::vector<std::string> rows;
    for (const std::string& state : states) {
        std::string names;
        for (const Statement& statement : battery()) {
            if (first_of(statement.sqlstate) != state) continue;
            names += (names.empty() ? "" : ", ") + statement.name;
        }
        rows.push_back("| " + (state.empty() ? kTellsNobody : state) + " | " + names + " | " +
                       verdict_of(state) + " |");
    }
    return rows;
}

}  // namespace homeward::testing
