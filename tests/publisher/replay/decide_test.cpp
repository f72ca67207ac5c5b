#include <homeward/replay/decide.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

const Regions kReplica{"scl", "ams"};
const Regions kPrimary{"scl", "scl"};

Situation read_only_error() {
    Situation situation;
    situation.method = "POST";
    situation.sqlstate = "25006";
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
    CHECK(decide(situation, kReplica).reason == Reason::replayed_yet_read_only);
}

TEST_CASE("only SQLSTATE 25006 is replayed") {
    for (const char* sqlstate : {"", "23505", "42501", "25001", "40001"}) {
        Situation situation = read_only_error();
        situation.sqlstate = sqlstate;
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
    }
}

TEST_CASE("by method, writes are replayed before the handler has run, reads never") {
    Policy policy;
    policy.writes_by_method = true;
    Situation situation;
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
        situation.method = method;
        CHECK(decide(situation, kReplica, policy).verdict == Verdict::replay);
        CHECK(decide(situation, kReplica).verdict == Verdict::proceed);
        CHECK(decide(situation, kPrimary, policy).verdict == Verdict::proceed);
    }
    situation.method = "GET";
    CHECK(decide(situation, kReplica, policy).verdict == Verdict::proceed);
}

TEST_CASE("what the platform cannot replay is refused with its own status") {
    Situation situation = read_only_error();
    situation.body_bytes = kReplayBodyBytesMax + 1;
    CHECK(decide(situation, kReplica).status == 413);
    situation.body_bytes = 0;
    situation.is_websocket = true;
    CHECK(decide(situation, kReplica).reason == Reason::websocket);
}

TEST_CASE("no region name can smuggle a header") {
    for (const char* region : {"", "scl\r\nset-cookie: a=b", "scl;instance=x", "a b", "SCL"}) {
        CHECK(replay_to(region).empty());
    }
}
