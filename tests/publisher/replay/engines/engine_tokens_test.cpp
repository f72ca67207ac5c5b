// Session tokens of every engine by the C ABI, from rows as the servers answer. How positions
// compare is engine_position_test's; MariaDB and Redis answer for themselves in their consistency
// tests.

#include <homeward_replay.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using Row = std::array<const char*, HOMEWARD_ENGINE_COLUMNS>;

struct EngineRows {
    homeward_engine engine;
    Row committed;
    Row there;
    Row behind;
    homeward_server_role role;
    std::string wait;  ///< in the statement that waits; empty: there is none
};

std::string info_of(const std::string& role, const std::string& offset) {
    return "# Replication\r\nrole:" + role + "\r\nslave_repl_offset:" + offset +
           "\r\nmaster_replid:8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb\r\nmaster_replid2:" +
           std::string(40, '0') + "\r\nmaster_repl_offset:" + offset + "\r\n";
}

const std::string kRedisPrimary = info_of("master", "200");
const std::string kRedisThere = info_of("slave", "200");
const std::string kRedisBehind = info_of("slave", "100");
constexpr const char* kUuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
constexpr const char* kGtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9";
constexpr const char* kFewerGtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-8";

const std::vector<EngineRows> kEngines{
    {HOMEWARD_POSTGRESQL,
     {"7", "000000010000000000000003", "0/3000060", "8192", "16777216"},
     {"7", "t", "1", "0/3000060"},
     {"7", "t", "1", "0/3000000"},
     HOMEWARD_ROLE_STANDBY,
     ""},
    {HOMEWARD_MARIADB,
     {"0", "0-1-7", "0-1-7"},
     {"1", "0-1-7", "0-1-7"},
     {"1", "0-1-6", "0-1-6"},
     HOMEWARD_ROLE_STANDBY,
     "MASTER_GTID_WAIT"},
    {HOMEWARD_MYSQL,
     {"0", kGtids, kUuid},
     {"1", kGtids, kUuid},
     {"1", kFewerGtids, kUuid},
     HOMEWARD_ROLE_STANDBY,
     "WAIT_FOR_EXECUTED_GTID_SET"},
    {HOMEWARD_MONGODB,
     {"1700000000", "2"},
     {"1700000000", "2"},
     {"1700000000", "1"},
     HOMEWARD_ROLE_UNKNOWN,
     ""},
    {HOMEWARD_REDIS,
     {kRedisPrimary.c_str()},
     {kRedisThere.c_str()},
     {kRedisBehind.c_str()},
     HOMEWARD_ROLE_STANDBY,
     ""},
};

struct Tokens {
    ~Tokens() { homeward_tokens_free(tokens); }
    homeward_tokens* tokens =
        homeward_tokens_new(("k1:" + std::string(64, 'a')).c_str(), nullptr, 0);
};

std::string sign(const Tokens& keys, homeward_engine engine, const Row& row) {
    char token[HOMEWARD_TOKEN_BYTES] = "";
    const int is_signed =
        homeward_engine_token_sign(keys.tokens, engine, row.data(), token, sizeof token);
    return is_signed == 1 ? token : "";
}

}  // namespace

TEST_CASE("a token of each engine is covered by a replica that is there, and by no other") {
    const Tokens keys;
    for (const EngineRows& one : kEngines) {
        INFO(one.engine);
        std::string token = sign(keys, one.engine, one.committed);
        REQUIRE(token.substr(0, 6) == "v2.k1.");
        const auto coverage = [&](homeward_engine engine, const Row* row) {
            return homeward_engine_token_coverage(keys.tokens, engine, token.c_str(),
                                                  row == nullptr ? nullptr : row->data());
        };
        const Row empty{};
        CHECK(coverage(one.engine, &one.there) == HOMEWARD_COVERED);
        CHECK(coverage(one.engine, &one.behind) == HOMEWARD_BEHIND);
        CHECK(coverage(one.engine, nullptr) == HOMEWARD_POSITION_UNKNOWN);
        CHECK(coverage(one.engine, &empty) == HOMEWARD_POSITION_UNKNOWN);
        for (const EngineRows& other : kEngines) {
            if (other.engine != one.engine) {
                CHECK(coverage(other.engine, &other.there) == HOMEWARD_NOT_ASKED);
            }
        }
        token.back() = token.back() == '0' ? '1' : '0';
        CHECK(coverage(one.engine, &one.there) == HOMEWARD_NOT_ASKED);
    }
}

TEST_CASE("rows of no engine are signed for nothing, and a replica has committed nothing") {
    const Tokens keys;
    for (const EngineRows& one : kEngines) {
        INFO(one.engine);
        CHECK(sign(keys, one.engine, Row{}).empty());
        CHECK(homeward_engine_token_sign(nullptr, one.engine, one.committed.data(), nullptr, 0) ==
              0);
        // MongoDB's timestamps look alike on both.
        if (one.engine != HOMEWARD_MONGODB) CHECK(sign(keys, one.engine, one.there).empty());
    }
    CHECK(sign(keys, HOMEWARD_MONGODB, {"1700000000", "-1"}).empty());
    CHECK(sign(keys, HOMEWARD_MONGODB, {"99999999999", "1"}).empty());
}

TEST_CASE("each engine has its queries, its role, and where the server can wait a statement") {
    const Tokens keys;
    for (const EngineRows& one : kEngines) {
        INFO(one.engine);
        const bool has_query = one.engine != HOMEWARD_MONGODB;
        CHECK((*homeward_engine_committed_query(one.engine) != '\0') == has_query);
        CHECK((*homeward_engine_replica_query(one.engine) != '\0') == has_query);
        CHECK(homeward_engine_role(one.engine, one.there.data()) == one.role);
        CHECK(homeward_engine_role(one.engine, nullptr) == HOMEWARD_ROLE_UNKNOWN);
        const std::string token = sign(keys, one.engine, one.committed);
        char query[HOMEWARD_QUERY_BYTES] = "";
        CHECK(homeward_engine_wait_query(keys.tokens, token.c_str(), 50, query, sizeof query) ==
              (one.wait.empty() ? 0 : 1));
        CHECK(std::string(query).find(one.wait) != std::string::npos);
        CHECK(homeward_engine_wait_query(keys.tokens, token.c_str(), 50, query, 8) == 0);
        CHECK(homeward_engine_wait_query(keys.tokens, "rubbish", 50, query, sizeof query) == 0);
    }
}
