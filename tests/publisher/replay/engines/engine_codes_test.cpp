// The codes of other engines as causes. MongoDB's are recorded answers: no server of it is here.
// MariaDB, Redis and SQLite answer for themselves in mariadb_battery_test, redis_battery_test and
// sqlite_test.

#include <homeward/replay/decide.hpp>
#include <homeward/replay/mongodb.hpp>
#include <homeward/replay/mysql.hpp>
#include <homeward/replay/redis.hpp>
#include <homeward/replay/sqlite.hpp>

#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::replay;
using Json = nlohmann::json;

namespace {

Verdict verdict_of(Cause cause, const char* method, ServerRole role, const Regions& regions) {
    Situation situation;
    situation.method = method;
    situation.cause = cause;
    situation.has_handler_run = true;
    situation.server_role = role;
    return decide(situation, regions).verdict;
}

Verdict on_replica(Cause cause, const char* method = "POST") {
    return verdict_of(cause, method, ServerRole::standby, {"scl", "ams"});
}

Verdict on_primary(Cause cause, ServerRole role = ServerRole::primary) {
    return verdict_of(cause, "POST", role, {"scl", "scl"});
}

/// A reply of a MongoDB server or the error object that a driver makes, as the documentation of
/// MongoDB and its driver specifications show them.
struct Recorded {
    const char* reply;
    Cause cause;
};

const Recorded kMongodbAnswers[] = {
    {R"({"ok": 1, "n": 1})", Cause::none},
    {R"({"ok": 0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"})",
     Cause::read_only},
    {R"({"ok": 0, "errmsg": "not primary and secondaryOk=false", "code": 13435,
        "codeName": "NotPrimaryNoSecondaryOk"})",
     Cause::read_only},
    {R"({"ok": 0, "errmsg": "Not primary while removing from shop.note", "code": 189,
        "codeName": "PrimarySteppedDown"})",
     Cause::read_only},
    {R"({"ok": 0, "errmsg": "node is recovering", "code": 13436,
        "codeName": "NotPrimaryOrSecondary"})",
     Cause::connection},
    {R"({"ok": 0, "errmsg": "The server is in quiesce mode and will shut down", "code": 91,
        "codeName": "ShutdownInProgress"})",
     Cause::connection},
    {R"({"ok": 0, "errmsg": "interrupted at shutdown", "code": 11600,
        "codeName": "InterruptedAtShutdown"})",
     Cause::outcome_unknown},
    {R"({"ok": 0, "errmsg": "operation was interrupted", "code": 11602,
        "codeName": "InterruptedDueToReplStateChange"})",
     Cause::outcome_unknown},
    {R"({"ok": 0, "errmsg": "connection reset", "code": 9001, "codeName": "SocketException"})",
     Cause::outcome_unknown},
    {R"({"ok": 0, "errmsg": "connection reset", "code": 9001, "codeName": "SocketException",
        "errorLabels": ["TransientTransactionError"]})",
     Cause::connection},
    {R"({"ok": 0, "errmsg": "WriteConflict error", "code": 112, "codeName": "WriteConflict",
        "errorLabels": ["TransientTransactionError"]})",
     Cause::conflict},
    {R"({"ok": 0, "errmsg": "operation exceeded time limit", "code": 50,
        "codeName": "MaxTimeMSExpired", "errorLabels": ["UnknownTransactionCommitResult"]})",
     Cause::outcome_unknown},
    {R"({"ok": 0, "errmsg": "operation exceeded time limit", "code": 50,
        "codeName": "MaxTimeMSExpired"})",
     Cause::other},
    {R"({"ok": 1, "n": 0, "writeErrors": [{"index": 0, "code": 11000,
        "errmsg": "E11000 duplicate key error"}]})",
     Cause::other},
    {R"({"ok": 0, "errmsg": "ns not found", "code": 26, "codeName": "NamespaceNotFound"})",
     Cause::unknown_name},
};

Cause cause_of_reply(const std::string& text) {
    const Json reply = Json::parse(text);
    const std::string label =
        reply.contains("errorLabels") ? reply["errorLabels"][0].get<std::string>() : "";
    if (reply.contains("writeErrors")) return cause_of_mongodb(reply["writeErrors"][0]["code"]);
    return cause_of_mongodb(reply.value("code", 0), label);
}

}  // namespace

TEST_CASE("recorded answers of MongoDB have their causes") {
    for (const Recorded& recorded : kMongodbAnswers) {
        INFO(recorded.reply);
        CHECK(name_of(cause_of_reply(recorded.reply)) == name_of(recorded.cause));
    }
    CHECK(cause_of_mongodb(0, kUnknownCommit) == Cause::outcome_unknown);
    CHECK(cause_of_mongodb(-1) == Cause::other);
}

TEST_CASE("an error of MongoDB is replayed from a secondary and answered by the primary region") {
    for (const int code : {10107, 13435, 189}) {
        CHECK(on_replica(cause_of_mongodb(code)) == Verdict::replay);
        CHECK(on_primary(cause_of_mongodb(code), ServerRole::unknown) == Verdict::refuse);
    }
    CHECK(on_replica(cause_of_mongodb(13436), "GET") == Verdict::replay);
    CHECK(on_replica(cause_of_mongodb(11602)) == Verdict::proceed);
    CHECK(on_replica(cause_of_mongodb(11000)) == Verdict::proceed);
}

TEST_CASE("each table has a code once, with its name and source") {
    const auto check = [](const auto& table) {
        std::set<std::string> codes;
        for (const auto& row : table) {
            std::string code;
            if constexpr (std::is_convertible_v<decltype(row.code), std::string_view>) {
                code = row.code;
            } else {
                code = std::to_string(row.code);
            }
            INFO(code);
            CHECK(codes.insert(code).second);
            CHECK_FALSE(row.name.empty());
            CHECK_FALSE(row.source.empty());
            CHECK(row.cause != Cause::none);
        }
    };
    check(kMysqlCauses);
    check(kMongodbCauses);
    check(kRedisCauses);
    check(kSqliteCauses);
}

TEST_CASE("an SQLSTATE decides about the codes of MySQL that have no rule") {
    CHECK(cause_of_mysql(0, "00000") == Cause::none);
    CHECK(cause_of_mysql(1062, "23000") == Cause::other);
    CHECK(cause_of_mysql(1290, "HY000") == Cause::read_only);
    CHECK(cause_of_mysql(9999, "25006") == Cause::read_only);
    CHECK(cause_of_mysql(9999, "40001") == Cause::conflict);
    CHECK(cause_of_mysql(9999, "42S02") == Cause::unknown_name);
    CHECK(cause_of_mysql(1158, "08S01") == Cause::connection);
    CHECK(cause_of_mysql(9999) == Cause::other);
}

TEST_CASE("codes of MySQL that no server of it answers here have their causes") {
    for (const unsigned code : {1836, 1874, 3100}) {
        CHECK(cause_of_mysql(code, "HY000") == Cause::read_only);
        CHECK(on_replica(cause_of_mysql(code, "HY000")) == Verdict::replay);
    }
    CHECK(cause_of_mysql(3101, "40000") == Cause::conflict);
    CHECK(cause_of_mysql(4031, "HY000") == Cause::connection);
    CHECK(on_replica(cause_of_mysql(4031, "HY000"), "GET") == Verdict::replay);
}

TEST_CASE("a packet that is too large is the app's own error, and not a lost connection") {
    CHECK(cause_of_mysql(1153, "08S01") == Cause::other);
    CHECK(on_primary(cause_of_mysql(1153, "08S01")) == Verdict::proceed);
}

TEST_CASE("a code that MySQL and MariaDB both use means what it does in the server of the error") {
    CHECK(cause_of_mysql(4031, "HY000", MysqlServer::mysql) == Cause::connection);
    CHECK(cause_of_mysql(4031, "HY000", MysqlServer::mariadb) == Cause::other);
    CHECK(cause_of_mysql(4091, "42S02", MysqlServer::mariadb) == Cause::unknown_name);
    CHECK(cause_of_mysql(4091, "HY000", MysqlServer::mysql) == Cause::other);
    CHECK(cause_of_mysql(1290, "HY000", MysqlServer::mariadb) == Cause::read_only);
    CHECK(cause_of_mysql(1927, "70100", MysqlServer::mysql) == Cause::connection);
}

TEST_CASE("1290 of a server that takes writes is the app's own error") {
    const Cause cause = cause_of_mysql(1290, "HY000");  // SELECT … INTO OUTFILE elsewhere
    CHECK(on_primary(cause) == Verdict::proceed);
    CHECK(on_primary(cause, ServerRole::read_only_primary) == Verdict::refuse);
    CHECK(on_replica(cause) == Verdict::replay);
}

TEST_CASE("of Redis's error lines the first word decides") {
    for (const char* line : {"READONLY", "-READONLY You can't write against a read only replica.",
                             "READONLY You can't write against a read only replica.\r\n"}) {
        CHECK(cause_of_redis(line) == Cause::read_only);
    }
    CHECK(cause_of_redis("") == Cause::none);
    CHECK(cause_of_redis("-") == Cause::none);
    CHECK(cause_of_redis("ERR READONLY is no command") == Cause::other);
    CHECK(cause_of_redis("READONLYX") == Cause::other);
    CHECK(cause_of_redis(" READONLY") == Cause::other);
    CHECK(cause_of_redis("BUSYGROUP Consumer Group name already exists") == Cause::other);
    CHECK(cause_of_redis("BUSYKEY Target key name already exists.") == Cause::other);
}

TEST_CASE("a code of SQLite without a rule has its family's") {
    CHECK(cause_of_sqlite(0) == Cause::none);
    CHECK(cause_of_sqlite(101) == Cause::none);
    for (const int code : {8, 264, 520, 776, 1288, 1544}) {
        CHECK(cause_of_sqlite(code) == Cause::read_only);
    }
    CHECK(cause_of_sqlite(1032) == Cause::connection);
    CHECK(cause_of_sqlite(517) == Cause::conflict);
    CHECK(cause_of_sqlite(10) == Cause::other);
    CHECK(cause_of_sqlite(266) == Cause::other);  // SQLITE_IOERR_READ
    CHECK(cause_of_sqlite(19) == Cause::other);
}
