// A replica whose machine takes connections and answers none of them. libpq waits for ever unless
// the connection string has a bound, as RULES.md recommends.

#include <homeward/replay/libpqxx.hpp>
#include <homeward/replay/request_handler.hpp>

#include <chrono>

#include "tests/support/catch.hpp"
#include "tests/support/servers/postgres_server.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a read on a replica that stalls is replayed, once its connection string has a bound") {
    const PostgresServer leader;
    const auto replica = PostgresServer::standby_of(leader);
    replica->freeze();
    const auto began = std::chrono::steady_clock::now();
    Cause cause = Cause::none;
    try {
        thread_connection(replica->url() + "?connect_timeout=2");
    } catch (const std::exception& error) {
        cause = cause_of(error);
    }
    replica->thaw();
    // 2 s; five times that, since others use this machine.
    CHECK(std::chrono::steady_clock::now() - began < 10s);
    Situation situation;
    situation.method = "GET";
    situation.cause = cause;
    situation.has_handler_run = true;
    const Decision decision = decide(situation, {"scl", "ams"});
    CHECK(decision.verdict == Verdict::replay);
    CHECK(decision.reason == Reason::replica_down);
    CHECK(thread_connection(replica->url() + "?connect_timeout=2").is_open());
}
