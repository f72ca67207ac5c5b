// Positions of other engines as their servers answer. MySQL's and MongoDB's answers are recorded:
// no server of them is here. MariaDB and Redis answer for themselves in mariadb_consistency_test
// and redis_consistency_test.

#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/url_parts.hpp>

#include <string>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const std::string kOne = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const std::string kTwo = "0a4f8e07-5c2e-11ee-8c99-0242ac120002";
const std::string kReplId = "8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb";
const std::string kNewId = "b2df6a6c1e1a7f0d8c5e3b4a29181706f5e4d3c2";

Position position(Engine engine, std::string text) {
    Position made;
    made.engine = engine;
    made.text = std::move(text);
    return made;
}

Reach reach(Engine engine, const std::string& replica, const std::string& seen) {
    return reach_of(position(engine, replica), position(engine, seen));
}

std::string info_of(const std::string& role, const std::string& rest) {
    return "# Replication\r\nrole:" + role + "\r\nconnected_slaves:0\r\n" + rest;
}

}  // namespace

TEST_CASE("a MariaDB position is reached domain by domain, from whichever server") {
    const auto is = [](const char* replica, const char* seen) {
        return reach(Engine::mariadb, replica, seen);
    };
    CHECK(is("0-1-100", "0-1-100") == Reach::reached);
    CHECK(is("0-2-101", "0-1-100") == Reach::reached);
    CHECK(is("0-1-99", "0-1-100") == Reach::before);
    CHECK(is("0-1-100,1-1-7", "1-1-7,0-1-100") == Reach::reached);
    CHECK(is("0-1-100,1-1-6", "0-1-100,1-1-7") == Reach::before);
    CHECK(is("0-1-100", "0-1-100,1-1-1") == Reach::before);
    CHECK(is("", "0-1-1") == Reach::before);
    CHECK(is("0-1-9", "0-1-10") == Reach::before);  // as text it would be past it
    for (const char* bad : {"0-1", "0-1-", "0-1-x", "a-1-1", "0-1-1-1", "4294967296-1-1", "-"}) {
        INFO(bad);
        CHECK(is("0-1-100", bad) == Reach::elsewhere);
        CHECK(is(bad, "0-1-100") == Reach::elsewhere);
    }
}

TEST_CASE("what a MariaDB server has committed is its whole position, or the last transaction") {
    CHECK(parse_mariadb_committed({"0", "0-1-7,1-2-3", "0-1-7"})->text == "0-1-7,1-2-3");
    std::string many = "0-1-7";
    while (many.size() <= kPositionTextMax) many += ",1-2-" + std::to_string(many.size());
    CHECK(parse_mariadb_committed({"0", many, "0-1-7"})->text == "0-1-7");
    CHECK_FALSE(parse_mariadb_committed({"0", many, ""}));
    CHECK_FALSE(parse_mariadb_committed({"1", "0-1-7", "0-1-7"}));  // a replica
    CHECK_FALSE(parse_mariadb_committed({"0", "", ""}));            // no binary log
    CHECK_FALSE(parse_mariadb_committed({"0", "x", "0-1-7"}));

    const auto replica = parse_mariadb_replica({"1", "0-1-7", "0-2-9"});
    REQUIRE(replica);
    CHECK(replica->at == position(Engine::mariadb, "0-1-7"));
    CHECK(replica->role == ServerRole::standby);
    const auto promoted = parse_mariadb_replica({"0", "0-1-7", "0-2-9"});
    REQUIRE(promoted);
    CHECK(promoted->at.text == "0-2-9");
    CHECK(promoted->role == ServerRole::primary);
    CHECK(parse_mariadb_replica({"1", "", ""})->at.text.empty());  // nothing applied yet
    CHECK_FALSE(parse_mariadb_replica({"", "0-1-7", ""}));
    CHECK_FALSE(parse_mariadb_replica({"1", "gtid", ""}));
}

TEST_CASE("recorded: a MySQL position is reached when all of its transactions are there") {
    const auto is = [](const std::string& replica, const std::string& seen) {
        return reach(Engine::mysql, replica, seen);
    };
    CHECK(is(kOne + ":1-100", kOne + ":1-100") == Reach::reached);
    CHECK(is(kOne + ":1-100", kOne + ":57") == Reach::reached);
    CHECK(is(kOne + ":1-56:58-100", kOne + ":57") == Reach::before);
    CHECK(is(kOne + ":1-56:58-100", kOne + ":50-60") == Reach::before);
    CHECK(is(kOne + ":1-56:57-100", kOne + ":50-60") == Reach::reached);  // they touch
    CHECK(is(kTwo + ":1-9,\n" + kOne + ":1-100", kOne + ":1-100") == Reach::reached);
    CHECK(is(kTwo + ":1-9", kOne + ":1") == Reach::before);
    CHECK(is("", kOne + ":1") == Reach::before);
    CHECK(is("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5", kOne + ":1-5") == Reach::reached);
    for (const std::string& bad :
         {kOne, kOne + ":", kOne + ":0", kOne + ":5-1", kOne + ":1-", kOne + ":-1", kOne + ":1-2-3",
          kOne + ":x", "uuid:1" + kTwo, kOne.substr(1) + ":1"}) {
        INFO(bad);
        CHECK(is(kOne + ":1-100", bad) == Reach::elsewhere);
    }
}

TEST_CASE("recorded: what a MySQL server has committed is its own part of gtid_executed") {
    const std::string executed = kTwo + ":1-9,\n" + kOne + ":1-5:7";
    CHECK(parse_mysql_committed({"0", executed, kOne})->text == kOne + ":1-5:7");
    CHECK(parse_mysql_committed({"0", executed, kTwo})->text == kTwo + ":1-9");
    CHECK_FALSE(parse_mysql_committed({"1", executed, kOne}));       // a replica
    CHECK_FALSE(parse_mysql_committed({"0", "", kOne}));             // gtid_mode = OFF
    CHECK_FALSE(parse_mysql_committed({"0", kTwo + ":1-9", kOne}));  // wrote nothing
    CHECK_FALSE(parse_mysql_committed({"0", executed, "none"}));
    std::string holes = kOne + ":1";
    for (int i = 3; holes.size() < 2 * kPositionTextMax; i += 2) holes += ":" + std::to_string(i);
    CHECK_FALSE(parse_mysql_committed({"0", holes, kOne}));
    CHECK(parse_mysql_replica({"1", executed, kTwo})->role == ServerRole::standby);
    CHECK(parse_mysql_replica({"0", executed, kTwo})->role == ServerRole::primary);
    CHECK_FALSE(parse_mysql_replica({"2", executed, kTwo}));
    CHECK_FALSE(parse_mysql_replica({"1", "x", kTwo}));
}

TEST_CASE("the statements that wait hold a position and nothing else") {
    CHECK(mariadb_wait_sql(position(Engine::mariadb, "0-1-7,1-2-3"), 25) ==
          "SELECT MASTER_GTID_WAIT('0-1-7,1-2-3', 0.025)");
    CHECK(mysql_wait_sql(position(Engine::mysql, kOne + ":1-5"), 1500) ==
          "SELECT WAIT_FOR_EXECUTED_GTID_SET('" + kOne + ":1-5', 1.500)");
    CHECK(mariadb_wait_sql(position(Engine::mysql, kOne + ":1-5"), 25).empty());
    CHECK(mysql_wait_sql(position(Engine::mariadb, "0-1-7"), 25).empty());
    CHECK(mariadb_wait_sql(position(Engine::mariadb, "0-1-7', 0); DROP TABLE x; --"), 25).empty());
}

TEST_CASE("recorded: MongoDB's operationTime is reached by time, then by increment") {
    const Position seen = mongodb_position(1'764'091'234, 5);
    CHECK(seen.text == "1764091234-5");
    CHECK(reach_of(mongodb_position(1'764'091'234, 5), seen) == Reach::reached);
    CHECK(reach_of(mongodb_position(1'764'091'235, 1), seen) == Reach::reached);
    CHECK(reach_of(mongodb_position(1'764'091'234, 4), seen) == Reach::before);
    CHECK(reach_of(mongodb_position(1'764'091'233, 900), seen) == Reach::before);
    CHECK(reach(Engine::mongodb, "1764091234", "1764091234-5") == Reach::elsewhere);
}

TEST_CASE("a Redis position is reached in its history, and in the one that a promotion continues") {
    const auto is = [](const std::string& replica, const std::string& seen) {
        return reach(Engine::redis, replica, seen);
    };
    CHECK(is(kReplId + ":1042", kReplId + ":1042") == Reach::reached);
    CHECK(is(kReplId + ":1041", kReplId + ":1042") == Reach::before);
    CHECK(is(kNewId + ":5000", kReplId + ":1042") == Reach::elsewhere);
    const std::string promoted = kNewId + ":5000," + kReplId + ":1043";
    CHECK(is(promoted, kReplId + ":1042") == Reach::reached);
    CHECK(is(promoted, kReplId + ":1043") == Reach::elsewhere);  // lost in the failover
    CHECK(is(kNewId + ":1000," + kReplId + ":1043", kReplId + ":1042") == Reach::before);

    const std::string info = info_of(
        "master", "master_replid:" + kReplId + "\r\nmaster_replid2:" + std::string(40, '0') +
                      "\r\nmaster_repl_offset:1042\r\nsecond_repl_offset:-1\r\n");
    CHECK(parse_redis_committed(info)->text == kReplId + ":1042");
    CHECK(parse_redis_replica(info)->role == ServerRole::primary);
    const std::string replica_info =
        info_of("slave", "slave_read_repl_offset:2000\r\nslave_repl_offset:1500\r\nmaster_replid:" +
                             kReplId + "\r\nmaster_replid2:" + kNewId +
                             "\r\nmaster_repl_offset:1500\r\nsecond_repl_offset:900\r\n");
    CHECK_FALSE(parse_redis_committed(replica_info));
    CHECK(parse_redis_replica(replica_info)->at.text == kReplId + ":1500," + kNewId + ":900");
    CHECK(parse_redis_replica(replica_info)->role == ServerRole::standby);
    for (const std::string& bad :
         {std::string(), info_of("sentinel", ""), info_of("master", "master_replid:x\r\n"),
          info_of("slave", "master_replid:" + kReplId + "\r\nslave_repl_offset:-1\r\n")}) {
        CHECK_FALSE(parse_redis_replica(bad));
    }
}

TEST_CASE("a URL comes apart for libraries that take its parts") {
    const auto full = parts_of_url("mariadb://app:p%40s%3As@db.internal:3307/shop?ssl=1");
    REQUIRE(full);
    CHECK(full->engine == Engine::mariadb);
    CHECK(full->user == "app");
    CHECK(full->password == "p@s:s");
    CHECK(full->host == "db.internal");
    CHECK(full->port == 3307);
    CHECK(full->database == "shop");
    CHECK(parts_of_url("mysql://db")->port == 3306);
    CHECK(parts_of_url("redis://:secret@[::1]/2")->host == "::1");
    CHECK(parts_of_url("redis://:secret@[::1]/2")->port == 6379);
    CHECK(parts_of_url("redis://:secret@[::1]/2")->password == "secret");
    CHECK(parts_of_url("redis://:secret@[::1]/2")->user.empty());
    CHECK_FALSE(parts_of_url("redis://db")->is_tls);
    CHECK(parts_of_url("rediss://db")->is_tls);
    for (const char* bad : {"postgres://db/x", "mongodb://db", "mysql://", "mysql://a,b/x",
                            "mysql://u@v@h/x", "mysql://h:0", "mysql://h:65536", "mysql://h:3x",
                            "mysql://u:%4@h", "mysql://u:%zz@h", "host=db"}) {
        INFO(bad);
        CHECK_FALSE(parts_of_url(bad));
    }
}
