// Method: the documented answers of PostgreSQL 19's WAIT FOR LSN, given to libpq by a scripted
// server. No such server is in Debian; consistency_test runs the same source against a real standby
// of the version that is.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/replica_poller.hpp>

#include <algorithm>

#include "tests/publisher/replay/scripted_postgres.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const std::string kWait = "WAIT FOR LSN '0/3000060' WITH (TIMEOUT '25ms', NO_THROW)";
constexpr Lsn kWanted = 0x3000060;
const Position kSeen{7, 1, kWanted};

/// A standby that is behind until it was waited for.
struct Standby {
    ScriptedAnswer wait_answer{{"success"}};
    std::atomic<bool> has_it{false};
    std::atomic<bool> waiting_helps{true};

    bool is_in_transaction = false;

    ScriptedAnswer answer(const std::string& sql) {
        if (sql == kReplicaPositionSql) {
            ScriptedAnswer position{{"7", "t", "1", has_it ? "0/3000060" : "0/3000000"}};
            position.is_in_transaction = is_in_transaction;
            return position;
        }
        if (sql.substr(0, 12) != "WAIT FOR LSN") return {{}, "42601"};
        if (waiting_helps) has_it = true;
        return wait_answer;
    }
    ScriptedPostgres::Script script() {
        return [this](const std::string& sql) { return answer(sql); };
    }
};

std::size_t waits_of(const ScriptedPostgres& server) {
    const auto all = server.statements();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& sql) {
        return sql.substr(0, 12) == "WAIT FOR LSN";
    }));
}

Token token() {
    Token made;
    made.state = TokenState::fresh;
    made.seen = kSeen;
    return made;
}

}  // namespace

TEST_CASE("the statement that waits for an LSN has a time, and never fails for it") {
    CHECK(wait_for_lsn_sql(kWanted, 25ms) == kWait);
    CHECK(wait_for_lsn_sql(kWanted, 0ms) ==
          "WAIT FOR LSN '0/3000060' WITH (TIMEOUT '1ms', NO_THROW)");
    CHECK(wait_for_lsn_sql(0x16'B374'D848, 1500ms) ==
          "WAIT FOR LSN '16/B374D848' WITH (TIMEOUT '1500ms', NO_THROW)");
}

TEST_CASE("PostgreSQL 19 waits itself, outside of a transaction") {
    Standby standby;
    const ScriptedPostgres server("19.0", standby.script());
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
    const auto outcome = poller.wait_for(token(), 60s);
    CHECK(outcome.coverage == Coverage::covered);
    CHECK(outcome.has_waited);
    // It is asked first: most tokens need no wait.
    const std::vector<std::string> wanted{kReplicaPositionSql, kWait, kReplicaPositionSql};
    CHECK(server.statements() == wanted);
    CHECK(server.connections() == 1);
}

TEST_CASE("an older PostgreSQL is polled, and never told to wait") {
    for (const char* version : {"15.14 (Debian 15.14-1)", "18.1", "18rc1"}) {
        Standby standby;
        const ScriptedPostgres server(version, standby.script());
        ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
        CHECK(poller.wait_for(token(), 100ms).coverage == Coverage::behind);
        standby.has_it = true;
        CHECK(poller.wait_for(token(), 60s).coverage == Coverage::covered);
        CHECK(waits_of(server) == 0);
    }
}

TEST_CASE("a server that cannot wait, whatever its version says, is told once and then polled") {
    // A syntax error, as of a fork; or a pooler that is inside of a transaction.
    for (const char* sqlstate : {"42601", "25001"}) {
        Standby standby;
        standby.waiting_helps = false;
        standby.wait_answer = {{}, sqlstate};
        const ScriptedPostgres server("19beta1", standby.script());
        ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
        CHECK(poller.wait_for(token(), 200ms).coverage == Coverage::behind);
        standby.has_it = true;
        CHECK(poller.wait_for(token(), 60s).coverage == Coverage::covered);
        CHECK(waits_of(server) == 1);
        CHECK(server.connections() == 1);
    }
}

TEST_CASE("a connection that is inside of a transaction is polled, and never told to wait") {
    // As a pooler's server that another client has left so.
    Standby standby;
    standby.is_in_transaction = true;
    const ScriptedPostgres server("19.0", standby.script());
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
    CHECK(poller.wait_for(token(), 200ms).coverage == Coverage::behind);
    standby.has_it = true;
    CHECK(poller.wait_for(token(), 60s).coverage == Coverage::covered);
    CHECK(waits_of(server) == 0);
}

TEST_CASE("of what the wait answers nothing is believed but the position") {
    for (const char* status : {"timeout", "not in recovery", "success"}) {
        Standby standby;
        standby.waiting_helps = false;
        standby.wait_answer = {{status}};
        const ScriptedPostgres server("19.0", standby.script());
        ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
        INFO(status);
        CHECK(poller.wait_for(token(), 200ms).coverage == Coverage::behind);
        CHECK(waits_of(server) >= 1);
        standby.has_it = true;
        CHECK(poller.wait_for(token(), 60s).coverage == Coverage::covered);
    }
}

TEST_CASE("a server that stops answering while it waits is down, and connected to anew") {
    Standby standby;
    standby.waiting_helps = false;
    standby.wait_answer.is_silent = true;
    const ScriptedPostgres server("19.0", standby.script());
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url(), 200ms));
    const auto begin = std::chrono::steady_clock::now();
    CHECK(poller.wait_for(token(), 60s).coverage == Coverage::position_unknown);
    CHECK(std::chrono::steady_clock::now() - begin < 30s);
    CHECK(poller.stats().unanswered == 1);
    standby.has_it = true;
    CHECK(wait_until(60s,
                     [&] { return poller.wait_for(token(), 1s).coverage == Coverage::covered; }));
    CHECK(server.connections() == 2);
}

TEST_CASE("a position that a server has not is never waited for on another timeline") {
    Standby standby;
    const ScriptedPostgres server("19.0", standby.script());
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(server.url()));
    Token other = token();
    other.seen.timeline = 2;
    CHECK(poller.wait_for(other, 60s).coverage == Coverage::different_timeline);
    CHECK(waits_of(server) == 0);
}
