// Method: 20,000 commits on a real leader with an idle streaming standby. After each, the position
// as the server tells it (the naive way) is held beside ours. Where they differ, the standby must
// reach ours at once, and is then left in peace: does it reach the naive one?

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/replica_poller.hpp>

#include "tests/publisher/replay/session.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kCommits = 20'000;
constexpr int kCheckedEvery = 250;
/// A working standby needs a millisecond; this is far beyond what a loaded machine adds.
constexpr int kPeaceMs = 250;

Token token_of(const Position& seen) {
    Token token;
    token.state = TokenState::fresh;
    token.seen = seen;
    return token;
}

}  // namespace

TEST_CASE(
    "an idle replica reaches each of 20,000 commits, and not what the server calls its position") {
    const PostgresServer leader({"autovacuum = off", "checkpoint_timeout = '1h'"});
    const Session writer(leader);
    writer.ask("CREATE TABLE note (n int)");
    const auto standby = PostgresServer::standby_of(leader);
    const Session reader(*standby);
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(standby->url()));

    int boundaries = 0, stalls = 0, unreached = 0, checked = 0;
    for (int i = 0; i < kCommits; ++i) {
        writer.ask("INSERT INTO note VALUES (" + std::to_string(i) + ")");
        const detail::LibpqResult result(PQexec(writer.get(), kCommittedPositionSql));
        const auto row = detail::first_row<CommittedRow>(result.get());
        REQUIRE(row);
        const auto ours = parse_committed(*row);
        const auto naive = parse_lsn((*row)[2]);
        REQUIRE(ours);
        REQUIRE(naive);
        const bool is_boundary = *naive != ours->lsn;
        if (!is_boundary && i % kCheckedEvery != 0) continue;

        ++checked;
        unreached += poller.wait_for(token_of(*ours), 30s).coverage != Coverage::covered;
        if (reader.number("SELECT max(n) FROM note") != i) FAIL("covered, yet the row is missing");
        if (!is_boundary) continue;
        ++boundaries;
        sleep_ms(kPeaceMs);
        stalls += *parse_lsn(reader.ask("SELECT pg_last_wal_replay_lsn()")) < *naive;
    }
    WARN(kCommits << " commits, " << boundaries << " at the end of a page: the naive position was "
                  << "not reached within " << kPeaceMs << " ms " << stalls << " times, ours "
                  << unreached << " times");
    CHECK(checked >= kCommits / kCheckedEvery);
    CHECK(unreached == 0);
    CHECK(boundaries >= 3);
    // The leader's own background writes may now and then push the standby on.
    CHECK(stalls * 2 > boundaries);
}
