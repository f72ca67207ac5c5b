// Method: a session commits on a leader, which is then put back to before that in each way that a
// database is restored. The restored leader writes on until its log is past the position that the
// session's token names, so that the number alone would call the token covered.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/session_consistency.hpp>

#include <fstream>

#include "tests/publisher/replay/session.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const TokenKey kOldKey{"k1", std::string(32, 'a')};
const TokenKey kNewKey{"k2", std::string(32, 'b')};

/// What a session commits, and where that leaves the log.
Position commit_on(const PostgresServer& leader) {
    const Session session(leader);
    session.ask("INSERT INTO note SELECT generate_series(1, 1000)");
    return *committed_position(session.get());
}

/// Segments of log: further than the base backup of a replica alone brings it.
void skip_segments(const PostgresServer& leader) {
    for (int i = 0; i < 4; ++i) {
        commit_on(leader);
        leader.query("SELECT pg_switch_wal()");
    }
}

void write_past(const PostgresServer& leader, const Position& seen) {
    while (commit_on(leader).lsn <= seen.lsn) skip_segments(leader);
}

/// A region's replica, and what its app answers to a browser that comes with an old cookie.
class Region {
  public:
    explicit Region(const PostgresServer& leader)
        : leader_(leader), replica_(PostgresServer::standby_of(leader)) {}

    Coverage coverage(const Position& seen, const TokenKey& key = kOldKey) const {
        ReplicaPoller poller(std::make_unique<LibpqPositionSource>(replica_->url()));
        const std::string cookie =
            SessionConsistency(TokenSigner({kOldKey}), nullptr).set_cookie(seen);
        SessionConsistencyOptions options;
        options.wait_max_ms = 5'000;  // also for the connection, on a busy machine
        const SessionConsistency reads(TokenSigner({key}), &poller, options);
        return reads.ask(cookie.substr(0, cookie.find(';'))).coverage;
    }

    void catch_up() const {
        const std::string lsn = leader_.query("SELECT pg_current_wal_lsn()").at(0).at(0);
        REQUIRE(wait_until(60s, [&] {
            return replica_->query("SELECT pg_last_wal_replay_lsn() >= '" + lsn + "'")[0][0] == "t";
        }));
    }

  private:
    const PostgresServer& leader_;
    std::unique_ptr<PostgresServer> replica_;
};

}  // namespace

TEST_CASE("restored from a dump, the leader is another system, whose replica covers no old token") {
    Position seen;
    {
        const PostgresServer lost;
        lost.query("CREATE TABLE note (n int)");
        seen = commit_on(lost);
    }
    const PostgresServer restored;
    restored.query("CREATE TABLE note (n int)");
    write_past(restored, seen);
    const Region ams(restored);
    ams.catch_up();
    CHECK(ams.coverage(seen) == Coverage::different_timeline);
    CHECK(ams.coverage(commit_on(restored)) == Coverage::covered);
}

TEST_CASE(
    "restored and promoted, the leader has a new timeline, whose replica covers no old token") {
    PostgresServer leader;
    leader.query("CREATE TABLE note (n int)");
    leader.back_up();
    const Position seen = commit_on(leader);
    const std::string data = leader.query("SHOW data_directory").at(0).at(0);
    leader.restore();
    std::ofstream(data + "/standby.signal").flush();
    leader.start();
    leader.promote();
    CHECK(leader.number("SELECT count(*) FROM note") == 0);
    write_past(leader, seen);
    const Region ams(leader);
    ams.catch_up();
    CHECK(ams.coverage(seen) == Coverage::different_timeline);
    CHECK(ams.coverage(commit_on(leader)) == Coverage::covered);
}

TEST_CASE("restored as it was, the leader is the same to a token, which is what new keys are for") {
    PostgresServer leader;
    leader.query("CREATE TABLE note (n int)");
    leader.back_up();
    skip_segments(leader);
    const Position seen = commit_on(leader);
    leader.restore();
    leader.start();
    CHECK(leader.number("SELECT count(*) FROM note") == 0);
    const Region ams(leader);
    CHECK(ams.coverage(seen) == Coverage::behind);
    write_past(leader, seen);
    ams.catch_up();
    // Nothing that a server tells gives the old token away once the log has passed it again.
    CHECK(ams.coverage(seen) == Coverage::covered);
    CHECK(ams.coverage(seen, kNewKey) == Coverage::not_asked);
}
