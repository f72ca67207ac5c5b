#include "tests/publisher/replay/engines/mariadb_battery.hpp"

#include <homeward/replay/decide.hpp>
#include <homeward/replay/libmariadb.hpp>

#include <algorithm>

#include "tests/publisher/replay/engines/mariadb_session.hpp"

namespace homeward::testing {
namespace {

using Session = std::shared_ptr<MariadbSession>;

MariadbAnswer answer_of(MYSQL* connection) {
    return {mysql_errno(connection), replay::cause_of(connection)};
}

/// Reads all results; the answer is the first error.
MariadbAnswer finish(MYSQL* connection, MariadbAnswer answer) {
    while (answer.code == 0) {
        mysql_free_result(mysql_store_result(connection));
        answer = answer_of(connection);
        if (answer.code != 0 || mysql_next_result(connection) < 0) break;
        answer = answer_of(connection);
    }
    return answer;
}

MariadbAnswer run_text(MYSQL* connection, const std::string& sql) {
    mysql_query(connection, sql.c_str());
    return finish(connection, answer_of(connection));
}

MariadbAnswer run_in_transaction(MYSQL* connection, const std::string& sql) {
    mysql_query(connection, "START TRANSACTION");
    const MariadbAnswer answer = run_text(connection, sql);
    mysql_query(connection, "ROLLBACK");
    return answer;
}

MariadbAnswer run_without_autocommit(MYSQL* connection, const std::string& sql) {
    mysql_autocommit(connection, 0);
    MariadbAnswer answer = run_text(connection, sql);
    if (answer.code == 0 && mysql_commit(connection) != 0) answer = answer_of(connection);
    mysql_autocommit(connection, 1);
    return answer;
}

MariadbAnswer run_behind_another(MYSQL* connection, const std::string& sql) {
    mysql_set_server_option(connection, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    const MariadbAnswer answer = run_text(connection, "SELECT 1; " + sql);
    mysql_set_server_option(connection, MYSQL_OPTION_MULTI_STATEMENTS_OFF);
    return answer;
}

MariadbAnswer run_prepared(MYSQL* connection, const std::string& sql) {
    MYSQL_STMT* statement = mysql_stmt_init(connection);
    const auto size = static_cast<unsigned long>(sql.size());
    if (mysql_stmt_prepare(statement, sql.c_str(), size) == 0 &&
        mysql_stmt_execute(statement) == 0) {
        mysql_stmt_store_result(statement);
    }
    const MariadbAnswer answer{mysql_stmt_errno(statement), replay::cause_of(statement)};
    mysql_stmt_close(statement);
    return answer;
}

}  // namespace

const std::vector<std::string>& mariadb_schema() {
    static const std::vector<std::string> all = {
        "CREATE TABLE note (id int PRIMARY KEY, n int)",
        "CREATE TABLE other (id int PRIMARY KEY)",
        "INSERT INTO note VALUES (1, 1)",
        "CREATE SEQUENCE number",
        "CREATE VIEW seen AS SELECT * FROM note",
        "CREATE PROCEDURE write_it() INSERT INTO note VALUES (9, 9)",
        "CREATE FUNCTION writes() RETURNS int BEGIN INSERT INTO note VALUES (8, 8); RETURN 1; END",
        "CREATE FUNCTION hides() RETURNS int BEGIN"
        " DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
        " INSERT INTO note VALUES (8, 8); RETURN 1; END",
        "CREATE PROCEDURE hide_it() BEGIN"
        " DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
        " INSERT INTO note VALUES (8, 8); END",
        "CREATE PROCEDURE lock_them() BEGIN"
        " DECLARE locked CURSOR FOR SELECT id FROM note FOR UPDATE; OPEN locked; CLOSE locked; END",
    };
    return all;
}

const std::vector<std::string>& mariadb_migration() {
    static const std::vector<std::string> all = {
        "CREATE TABLE later (n int)",
        "ALTER TABLE note ADD COLUMN later int",
        "CREATE FUNCTION later() RETURNS int RETURN 1",
        "CREATE PROCEDURE later_too() SELECT 1",
        "CREATE SEQUENCE later_number",
    };
    return all;
}

const std::vector<MariadbStatement>& mariadb_battery() {
    constexpr auto kText = MariadbWhere::as_text;
    static const std::vector<MariadbStatement> all = {
        {"INSERT", "INSERT INTO note VALUES (2, 2)", 1290},
        {"INSERT IGNORE", "INSERT IGNORE INTO note VALUES (1, 1)", 1290},
        {"ON DUPLICATE KEY UPDATE", "INSERT INTO note VALUES (1, 1) ON DUPLICATE KEY UPDATE n = 2",
         1290},
        {"RETURNING", "INSERT INTO note VALUES (3, 3) RETURNING id", 1290},
        {"REPLACE", "REPLACE INTO note VALUES (1, 1)", 1290},
        {"UPDATE", "UPDATE note SET n = 2 WHERE false", 1290},
        {"of several tables", "UPDATE note, other SET n = 2 WHERE false", 1290},
        {"DELETE", "DELETE FROM note WHERE false", 1290},
        {"of several tables at once",
         "DELETE note, other FROM note JOIN other ON note.id = other.id WHERE false", 1290},
        {"INSERT into a view", "INSERT INTO seen VALUES (5, 5)", 1290},
        {"LOAD DATA", "LOAD DATA LOCAL INFILE '/dev/null' INTO TABLE note", 1290, kText},
        {"TRUNCATE", "TRUNCATE note", 1290},
        {"NEXTVAL()", "SELECT NEXTVAL(number)", 1290},
        {"SETVAL()", "SELECT SETVAL(number, 7)", 1290},
        {"SELECT … FOR UPDATE", "SELECT * FROM note FOR UPDATE", 1290},
        {"LOCK TABLES … WRITE", "LOCK TABLES note WRITE", 1290, kText},
        {"functions", "SELECT writes()", 1290},
        {"even those that hide their errors", "SELECT hides()", 1290},
        {"CALL", "CALL write_it()", 1290},
        {"DO that write", "DO writes()", 1290},
        {"EXECUTE IMMEDIATE", "EXECUTE IMMEDIATE 'INSERT INTO note VALUES (6, 6)'", 1290, kText},
        {"EXPLAIN INSERT", "EXPLAIN INSERT INTO note VALUES (6, 6)", 1290},
        {"CREATE TABLE", "CREATE TABLE fresh (n int)", 1290},
        {"CREATE … SELECT", "CREATE TABLE fresh AS SELECT 1 AS n", 1290},
        {"CREATE INDEX", "CREATE INDEX note_n ON note (n)", 1290},
        {"CREATE VIEW", "CREATE VIEW fresh AS SELECT 1 AS n", 1290},
        {"CREATE SEQUENCE", "CREATE SEQUENCE fresh", 1290},
        {"CREATE FUNCTION", "CREATE FUNCTION fresh() RETURNS int RETURN 1", 1290, kText},
        {"CREATE TRIGGER", "CREATE TRIGGER fresh BEFORE INSERT ON note FOR EACH ROW SET @a = 1",
         1290, kText},
        {"ALTER", "ALTER TABLE note ADD COLUMN more int", 1290},
        {"RENAME", "RENAME TABLE note TO fresh", 1290},
        {"DROP", "DROP TABLE note", 1290},
        {"a cursor FOR UPDATE", "CALL lock_them()", 1290},
        {"COMMENT", "ALTER TABLE note COMMENT 'orders'", 1290},
        {"CREATE EVENT", "CREATE EVENT fresh ON SCHEDULE EVERY 1 DAY DO SET @a = 1", 1290, kText},
        {"GRANT", "GRANT SELECT ON shop.note TO app", 1290},
        {"OPTIMIZE", "OPTIMIZE TABLE note", 1290},
        {"ANALYZE", "ANALYZE TABLE note", 1290},
        {"START TRANSACTION READ WRITE", "START TRANSACTION READ WRITE", 1290, kText},

        {"a table that the replica does not have yet", "SELECT * FROM later", 1146},
        {"a column that it does not have yet", "SELECT later FROM note", 1054},
        {"a function or procedure that it does not have yet", "SELECT later()", 1305},
        {"", "CALL later_too()", 1305},
        {"a sequence that it does not have yet", "SELECT NEXTVAL(later_number)", 4091},

        {"CREATE USER", "CREATE USER fresh", 1227},
        {"CREATE ROLE", "CREATE ROLE fresh", 1227},
        {"FLUSH (as on the leader: the app lacks the privilege)", "FLUSH TABLES", 1227},

        {"CREATE TEMPORARY TABLE", "CREATE OR REPLACE TEMPORARY TABLE fresh (n int)", 0},
        {"LOCK IN SHARE MODE", "SELECT * FROM note LOCK IN SHARE MODE", 0},
        {"LOCK TABLES … READ", "LOCK TABLES note READ", 0, kText},
        {"UNLOCK TABLES", "UNLOCK TABLES", 0, kText},
        {"GET_LOCK() (held on this replica only)", "SELECT GET_LOCK('shop', 0)", 0},
        {"SET", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", 0},
        {"a procedure that hides its error", "CALL hide_it()", 0},
        {"reads", "SELECT * FROM note", 0},
    };
    return all;
}

std::vector<std::string> mariadb_table() {
    std::vector<unsigned> codes;
    for (const MariadbStatement& statement : mariadb_battery()) {
        if (std::find(codes.begin(), codes.end(), statement.code) == codes.end()) {
            codes.push_back(statement.code);
        }
    }
    std::vector<std::string> rows;
    for (const unsigned code : codes) {
        std::string names;
        for (const MariadbStatement& statement : mariadb_battery()) {
            if (statement.code != code || statement.name.empty()) continue;
            names += (names.empty() ? "" : ", ") + statement.name;
        }
        rows.push_back("| " + (code == 0 ? std::string("(no error)") : std::to_string(code)) +
                       " | " + names + " | `" + std::string(name_of(replay::cause_of_mysql(code))) +
                       "` |");
    }
    return rows;
}

std::vector<MariadbWay> mariadb_ways(int port) {
    const auto on = [port](MariadbAnswer (*run)(MYSQL*, const std::string&)) {
        const auto session = std::make_shared<MariadbSession>(port);
        return [session, run](const std::string& sql) { return run(session->get(), sql); };
    };
    return {
        {"mysql_query", on(run_text)},
        {"mysql_query in a transaction", on(run_in_transaction)},
        {"mysql_query without autocommit", on(run_without_autocommit)},
        {"a second statement", on(run_behind_another)},
        {"a prepared statement", on(run_prepared), true},
    };
}

}  // namespace homeward::testing
