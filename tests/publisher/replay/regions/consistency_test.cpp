// Method: a real leader and a streaming standby whose replay is paused, killed or frozen. Each
// session writes on the leader, then reads where SessionConsistency and decide() send it, and must
// see what it wrote.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/session_consistency.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/publisher/replay/session.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kSessions = 4;
constexpr int kPairsEach = 2'500;
const Regions kReplicaRegion{"scl", "ams"};

struct Count {
    std::atomic<int> pairs{0};
    std::atomic<int> stale{0};
    std::atomic<int> here{0};      ///< served by the replica
    std::atomic<int> replayed{0};  ///< served by the leader
    std::atomic<int> errors{0};    ///< anything but an answer
};

/// Leader, standby and an app's reads in front of the standby.
struct Stage {
    explicit Stage(std::uint32_t wait_max_ms)
        : leader({"autovacuum = off"}), standby(PostgresServer::standby_of(leader)) {
        Session(leader).ask(
            "CREATE TABLE counter (id int PRIMARY KEY, n int) WITH (fillfactor = 50);"
            "INSERT INTO counter SELECT i, 0 FROM generate_series(1, 100) i");
        poller =
            std::make_unique<ReplicaPoller>(std::make_unique<LibpqPositionSource>(standby->url()));
        SessionConsistencyOptions options;
        options.wait_max_ms = wait_max_ms;
        reads = std::make_unique<SessionConsistency>(TokenSigner({{"k1", std::string(32, 'a')}}),
                                                     poller.get(), options);
    }

    /// What a write on the leader leaves in the browser.
    std::string write(const Session& session, int id, int n) const {
        session.ask("UPDATE counter SET n = " + std::to_string(n) +
                    " WHERE id = " + std::to_string(id));
        const auto seen = committed_position(session.get());
        if (!seen) throw std::runtime_error("no position after a commit");
        const std::string cookie = reads->set_cookie(*seen);
        return cookie.substr(0, cookie.find(';'));
    }

    PostgresServer leader;
    std::unique_ptr<PostgresServer> standby;
    std::unique_ptr<ReplicaPoller> poller;
    std::unique_ptr<SessionConsistency> reads;
};

Decision decide_read(const ReadAnswer& answer) {
    Situation situation;
    situation.method = "GET";
    situation.coverage = answer.coverage;
    return decide(situation, kReplicaRegion);
}

/// One session's pairs; `mode` as the app would choose.
void write_and_read(const Stage& stage, int id, int pairs, ReadMode mode, Count& count) {
    const Session leader(stage.leader);
    const Session replica(*stage.standby);
    const std::string read = "SELECT n FROM counter WHERE id = " + std::to_string(id);
    for (int n = 1; n <= pairs; ++n) {
        try {
            const std::string cookie = stage.write(leader, id, n);
            const Decision decision = decide_read(stage.reads->ask(cookie, mode));
            const bool is_here = decision.verdict == Verdict::proceed;
            if (!is_here && decision.verdict != Verdict::replay) ++count.errors;
            ++(is_here ? count.here : count.replayed);
            count.stale += (is_here ? replica : leader).number(read) != n;
            ++count.pairs;
        } catch (const std::exception&) {
            ++count.errors;
        }
    }
}

/// Pauses and resumes the replay until it is told to stop.
void pause_now_and_then(const PostgresServer& standby, const std::atomic<bool>& is_done) {
    const Session session(standby);
    while (!is_done) {
        session.ask("SELECT pg_wal_replay_pause()");
        sleep_ms(30);
        session.ask("SELECT pg_wal_replay_resume()");
        sleep_ms(150);
    }
}

}  // namespace

TEST_CASE(
    "of 10,000 writes followed by a read none is read stale while the replica is paused again and "
    "again") {
    const Stage stage(5);
    Count count;
    std::atomic<bool> is_done{false};
    std::thread pauser([&] { pause_now_and_then(*stage.standby, is_done); });
    std::vector<std::thread> sessions;
    for (int id = 1; id <= kSessions; ++id) {
        sessions.emplace_back(
            [&, id] { write_and_read(stage, id, kPairsEach, ReadMode::session, count); });
    }
    for (std::thread& session : sessions) session.join();
    is_done = true;
    pauser.join();
    const ReplicaPoller::Stats stats = stage.poller->stats();
    WARN(count.pairs << " pairs: " << count.here << " read from the replica, " << count.replayed
                     << " replayed, " << count.stale << " stale; " << stats.waited << " waited, "
                     << stats.asked << " questions");
    CHECK(count.pairs == kSessions * kPairsEach);
    CHECK(count.stale == 0);
    CHECK(count.errors == 0);
    CHECK(count.here > 100);
    CHECK(count.replayed > 100);

    // The same without SessionConsistency, or the test could not fail.
    Session(*stage.standby).ask("SELECT pg_wal_replay_pause()");
    Count eventual;
    write_and_read(stage, 50, 20, ReadMode::eventual, eventual);
    CHECK(eventual.stale > 0);
    CHECK(eventual.here == 20);
    Count strong;
    write_and_read(stage, 51, 20, ReadMode::strong, strong);
    CHECK(strong.stale == 0);
    CHECK(strong.replayed == 20);
    // A replica that lags for ever: every read is answered, by the leader.
    Count session;
    write_and_read(stage, 52, 20, ReadMode::session, session);
    CHECK(session.stale == 0);
    CHECK(session.errors == 0);
    CHECK(session.replayed == 20);
}

TEST_CASE("a read whose token is covered asks the replica nothing") {
    const Stage stage(30'000);
    const Session leader(stage.leader);
    const std::string cookie = stage.write(leader, 1, 1);
    REQUIRE(stage.reads->ask(cookie).coverage == Coverage::covered);
    const auto asked = stage.poller->stats().asked;
    for (int i = 0; i < 100; ++i) CHECK(stage.reads->ask(cookie).coverage == Coverage::covered);
    CHECK(stage.poller->stats().asked == asked);
}

TEST_CASE(
    "a replica that was killed is not believed to be where it was, and nobody gets an error") {
    Stage stage(5'000);
    const Session leader(stage.leader);
    const std::string cookie = stage.write(leader, 1, 1);
    REQUIRE(stage.reads->ask(cookie).coverage == Coverage::covered);
    stage.standby->kill();
    CHECK(wait_until(
        30s, [&] { return stage.reads->ask(cookie).coverage == Coverage::position_unknown; }));
    CHECK(decide_read(stage.reads->ask(cookie)).verdict == Verdict::replay);
    const std::string later = stage.write(leader, 1, 2);
    stage.standby->start();
    CHECK(wait_until(60s, [&] { return stage.reads->ask(later).coverage == Coverage::covered; }));
    CHECK(Session(*stage.standby).number("SELECT n FROM counter WHERE id = 1") == 2);
}

TEST_CASE("a frozen replica costs a session no more than its wait") {
    Stage stage(50);
    const Session leader(stage.leader);
    REQUIRE(stage.poller
                ->wait_for(
                    [&] {
                        Token token;
                        token.state = TokenState::fresh;
                        token.seen = *committed_position(leader.get());
                        return token;
                    }(),
                    30s)
                .coverage == Coverage::covered);
    stage.standby->freeze();
    for (int n = 1; n <= 10; ++n) {
        const std::string cookie = stage.write(leader, 2, n);
        const auto begin = std::chrono::steady_clock::now();
        CHECK(decide_read(stage.reads->ask(cookie)).verdict == Verdict::replay);
        CHECK(std::chrono::steady_clock::now() - begin < 5s);
    }
    stage.standby->thaw();
    const std::string cookie = stage.write(leader, 2, 11);
    CHECK(wait_until(60s, [&] { return stage.reads->ask(cookie).coverage == Coverage::covered; }));
}
