#include <homeward/replay/decide.hpp>
#include <homeward/replay/postgres.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const Regions kReplica{"scl", "ams"};
const Regions kPrimary{"scl", "scl"};

Situation read_only_error() {
    Situation situation;
    situation.method = "POST";
    situation.cause = cause_of_sqlstate("25006");
    situation.has_handler_run = true;
    return situation;
}

}  // namespace

TEST_CASE("a read-only error in a replica region is replayed") {
    const Decision decision = decide(read_only_error(), kReplica);
    CHECK(decision.verdict == Verdict::replay);
    CHECK(decision.status == 409);
    CHECK(decision.reason == Reason::read_only_error);
    CHECK(replay_to("scl") == "region=scl");
}

TEST_CASE("a read-only error in the primary region is refused, not replayed in a circle") {
    const Decision decision = decide(read_only_error(), kPrimary);
    CHECK(decision.verdict == Verdict::refuse);
    CHECK(decision.status == 503);
    CHECK(decision.retry_after_s > 0);
}

TEST_CASE("a request that was replayed already is not replayed again") {
    Situation situation = read_only_error();
    situation.was_replayed = true;
    CHECK(decide(situation, kReplica).verdict == Verdict::refuse);
    CHECK(decide(situation, kReplica).reason == Reason::replayed_yet_not_primary);
}

TEST_CASE("an error that has nothing to do with standbys is not replayed") {
    for (const char* sqlstate : {"", "23505", "42501", "25001", "40003", "57014"}) {
        Situation situation = read_only_error();
        situation.cause = cause_of_sqlstate(sqlstate);
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    }
}

TEST_CASE("what a standby cancelled for its log is replayed, and what a primary cancelled is not") {
    for (const char* sqlstate : {"40001", "40P01"}) {
        for (const char* method : {"GET", "POST"}) {
            Situation situation = read_only_error();
            situation.method = method;
            situation.cause = cause_of_sqlstate(sqlstate);
            INFO(method << " " << sqlstate);
            for (const ServerRole role : {ServerRole::unknown, ServerRole::standby}) {
                situation.server_role = role;
                CHECK(decide(situation, kReplica).verdict == Verdict::replay);
                CHECK(decide(situation, kReplica).reason == Reason::recovery_conflict);
            }
            CHECK(decide(situation, kPrimary).reason == Reason::primary_is_standby);
            Policy policy;
            policy.recovery_conflict = false;
            CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
            CHECK(decide(situation, kPrimary, policy).verdict == Verdict::proceed);
            situation.was_replayed = true;
            CHECK(decide(situation, kReplica).reason == Reason::replayed_yet_not_primary);
            situation.was_replayed = false;
            situation.server_role = ServerRole::unknown;
            CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
            situation.server_role = ServerRole::primary;
            CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
            CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
        }
    }
}

TEST_CASE("by method, writes are replayed before the handler has run, reads never") {
    Policy policy;
    policy.writes_by_method = true;
    Situation situation;
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "MKCOL"}) {
        situation.method = method;
        CHECK(decide(situation, kReplica, policy).reason == Reason::write_method);
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
        CHECK(decide(situation, kPrimary, policy).verdict == Verdict::proceed);
    }
    for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE"}) {
        situation.method = method;
        CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
    }
}

TEST_CASE("what the platform cannot replay is refused with its own status") {
    Situation situation = read_only_error();
    situation.body_bytes = kReplayBodyBytesMax + 1;
    CHECK(decide(situation, kReplica).status == 413);
    situation.body_bytes = kReplayBodyBytesMax;
    CHECK(decide(situation, kReplica).verdict == Verdict::replay);
    situation.is_websocket = true;
    CHECK(decide(situation, kReplica).reason == Reason::websocket);
    CHECK(decide(situation, kReplica).status == 403);
}

TEST_CASE("a large write is refused before its body is read, unless the policy lets it run") {
    Situation situation;
    situation.method = "POST";
    situation.body_bytes = kReplayBodyBytesMax + 1;
    CHECK(decide(situation, kReplica).status == 413);
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    Policy policy;
    policy.large_writes_here = true;
    CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
}

TEST_CASE("a write of unknown length is replayed before its body is read, and only once") {
    Situation situation;
    situation.method = "POST";
    situation.is_length_unknown = true;
    CHECK(decide(situation, kReplica).verdict == Verdict::replay);
    CHECK(decide(situation, kReplica).reason == Reason::length_unknown);
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    situation.was_replayed = true;
    CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    situation.was_replayed = false;
    situation.has_replay_failed = true;
    CHECK(decide(situation, kReplica).status == 503);
    situation.has_replay_failed = false;
    Policy policy;
    policy.large_writes_here = true;
    CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
    situation.method = "GET";
    CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
}

TEST_CASE("a WebSocket is refused in a replica region, unless the policy lets it read there") {
    Situation situation;
    situation.method = "GET";
    situation.is_websocket = true;
    CHECK(decide(situation, kReplica).reason == Reason::websocket);
    CHECK(decide(situation, kReplica).status == 403);
    CHECK(decide(situation, kReplica).retry_after_s == 0);  // or it would come again for ever
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    situation.was_replayed = true;  // as a client may claim
    CHECK(decide(situation, kReplica).reason == Reason::websocket);
    situation.was_replayed = false;
    Policy policy;
    policy.websockets_here = true;
    CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
    situation.coverage = Coverage::behind;
    CHECK(decide(situation, kReplica, policy).reason == Reason::websocket);
    CHECK(decide(situation, kReplica, policy).retry_after_s > 0);  // the replica may catch up
    situation.coverage = Coverage::not_asked;
    situation.cause = Cause::read_only;
    situation.has_handler_run = true;
    CHECK(decide(situation, kReplica, policy).status == 403);
}

TEST_CASE(
    "a read whose replica is down is replayed, a write is refused with a time to come again") {
    for (const char* sqlstate : {"08006", "08001", "57P01", "57P02", "57P03"}) {
        Situation situation = read_only_error();
        situation.cause = cause_of_sqlstate(sqlstate);
        INFO(sqlstate);
        CHECK(decide(situation, kReplica).reason == Reason::database_down);
        CHECK(decide(situation, kReplica).status == 503);
        CHECK(decide(situation, kReplica).retry_after_s > 0);
        situation.method = "GET";
        CHECK(decide(situation, kReplica).verdict == Verdict::replay);
        CHECK(decide(situation, kReplica).reason == Reason::replica_down);
        situation.was_replayed = true;
        CHECK(decide(situation, kReplica).reason == Reason::replayed_yet_not_primary);
        situation.was_replayed = false;
        Policy policy;
        policy.replica_down = false;
        CHECK(decide(situation, kReplica, policy).reason == Reason::database_down);
    }
}

TEST_CASE("in the primary region a database that is down is 503 with a time to come again") {
    Situation situation = read_only_error();
    situation.cause = cause_of_sqlstate("57P03");
    for (const char* method : {"GET", "POST"}) {
        situation.method = method;
        CHECK(decide(situation, kPrimary).reason == Reason::database_down);
        CHECK(decide(situation, kPrimary).status == 503);
    }
}

TEST_CASE("a COMMIT whose outcome is unknown is the app's to answer, and never replayed") {
    Situation situation = read_only_error();
    situation.cause = cause_of_sqlstate("08007");
    for (const char* method : {"GET", "POST"}) {
        situation.method = method;
        CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    }
}

TEST_CASE("a region whose server has been promoted serves everything itself") {
    Policy policy;
    policy.writes_by_method = true;
    Situation situation;
    situation.server_role = ServerRole::primary;
    for (const char* method : {"GET", "POST"}) {
        situation.method = method;
        for (const Coverage coverage : {Coverage::behind, Coverage::different_timeline,
                                        Coverage::position_unknown, Coverage::primary_only}) {
            situation.coverage = coverage;
            CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
        }
    }
}

TEST_CASE("a standby in the primary region serves no read that it does not cover") {
    Situation situation;
    situation.method = "GET";
    situation.server_role = ServerRole::standby;
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    situation.coverage = Coverage::covered;
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    for (const Coverage coverage :
         {Coverage::behind, Coverage::different_timeline, Coverage::position_unknown}) {
        situation.coverage = coverage;
        CHECK(decide(situation, kPrimary).reason == Reason::primary_is_standby);
    }
}

TEST_CASE("whatever happened, a replayed request is never replayed again") {
    Situation situation;
    situation.was_replayed = true;
    Policy policy;
    policy.writes_by_method = true;
    policy.schema_lag = true;
    for (const Regions& regions : {kReplica, kPrimary}) {
        for (const char* method : {"GET", "POST"}) {
            for (const char* sqlstate :
                 {"", "25006", "0A000", "40001", "42P01", "08006", "57P01"}) {
                for (int coverage = 0; coverage <= 5; ++coverage) {
                    for (int bits = 0; bits < 8; ++bits) {
                        situation.method = method;
                        situation.cause = cause_of_sqlstate(sqlstate);
                        situation.has_handler_run = *sqlstate != '\0';
                        situation.coverage = static_cast<Coverage>(coverage);
                        situation.has_replay_failed = (bits & 1) != 0;
                        situation.is_length_unknown = (bits & 2) != 0;
                        situation.is_websocket = (bits & 4) != 0;
                        const Decision decision = decide(situation, regions, policy);
                        REQUIRE(decision.verdict != Verdict::replay);
                        if (decision.verdict == Verdict::refuse) {
                            const bool is_final = decision.status == 413 || decision.status == 403;
                            REQUIRE(is_final == (decision.retry_after_s == 0));
                            REQUIRE(decision.status < 504);
                        }
                    }
                }
            }
        }
    }
}

TEST_CASE("in the primary region a standby is told apart from a read-only primary") {
    Situation situation = read_only_error();
    situation.server_role = ServerRole::standby;
    CHECK(decide(situation, kPrimary).reason == Reason::primary_is_standby);
    situation.server_role = ServerRole::read_only_primary;
    CHECK(decide(situation, kPrimary).reason == Reason::primary_is_read_only);
    CHECK(decide(situation, kPrimary).status == 503);
    situation.server_role = ServerRole::primary;  // the app's own READ ONLY transaction
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
}

TEST_CASE("in a replica region a read-only error of a primary server is not replayed") {
    Situation situation = read_only_error();
    situation.server_role = ServerRole::read_only_primary;
    CHECK(decide(situation, kReplica).reason == Reason::primary_is_read_only);
    situation.server_role = ServerRole::primary;
    CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    situation.server_role = ServerRole::standby;
    CHECK(decide(situation, kReplica).verdict == Verdict::replay);
}

TEST_CASE("a request whose replay has failed is not replayed again") {
    Situation situation = read_only_error();
    situation.has_replay_failed = true;
    CHECK(decide(situation, kReplica).reason == Reason::replay_failed);
    CHECK(decide(situation, kReplica).status == 503);
}

TEST_CASE("what a hot standby does not support is replayed unless the policy forbids it") {
    Situation situation = read_only_error();
    situation.cause = cause_of_sqlstate("0A000");
    CHECK(decide(situation, kReplica).reason == Reason::unsupported_on_standby);
    CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
    Policy policy;
    policy.unsupported_on_standby = false;
    CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
}

TEST_CASE("an unknown table is replayed only if the policy says that the schema may lag") {
    Policy policy;
    policy.schema_lag = true;
    for (const char* sqlstate : {"42P01", "42703", "42883"}) {
        Situation situation = read_only_error();
        situation.cause = cause_of_sqlstate(sqlstate);
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
        CHECK(decide(situation, kReplica, policy).reason == Reason::schema_lag);
        CHECK(decide(situation, kPrimary, policy).verdict == Verdict::proceed);
    }
}

TEST_CASE("a read that the replica cannot cover goes to the primary, and is never served stale") {
    const std::pair<Coverage, Reason> rules[] = {
        {Coverage::behind, Reason::replica_behind},
        {Coverage::different_timeline, Reason::different_timeline},
        {Coverage::position_unknown, Reason::position_unknown},
        {Coverage::primary_only, Reason::strong_read},
    };
    for (const auto& [coverage, reason] : rules) {
        Situation situation;
        situation.method = "GET";
        situation.coverage = coverage;
        CHECK(decide(situation, kReplica).verdict == Verdict::replay);
        CHECK(decide(situation, kReplica).reason == reason);
        CHECK(decide(situation, kPrimary).verdict == Verdict::proceed);
        situation.was_replayed = true;  // as a forged fly-replay-src would have it
        CHECK(decide(situation, kReplica).status == 503);
        situation.was_replayed = false;
        situation.has_replay_failed = true;
        CHECK(decide(situation, kReplica).status == 503);
    }
}

TEST_CASE("a read that is covered, or that nobody asked about, is served here") {
    Situation situation;
    situation.method = "GET";
    for (const Coverage coverage : {Coverage::covered, Coverage::not_asked}) {
        situation.coverage = coverage;
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    }
}

TEST_CASE("each reason has a name of its own and a sentence") {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < kReasons; ++i) {
        names.push_back(name_of(static_cast<Reason>(i)));
        CHECK_FALSE(explain(static_cast<Reason>(i)).empty());
    }
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("an Upgrade header names a WebSocket in any case") {
    CHECK(names_websocket("WebSocket"));
    CHECK(names_websocket("h2c, websocket"));
    CHECK_FALSE(names_websocket("h2c"));
    CHECK_FALSE(names_websocket(""));
}

TEST_CASE("no region name can smuggle a header") {
    for (const char* region :
         {"", "scl\r\nset-cookie: a=b", "scl;instance=x", "a b", "SCL", "scl,ams"}) {
        CHECK(replay_to(region).empty());
    }
}
