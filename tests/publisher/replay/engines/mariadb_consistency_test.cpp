// Method: a real MariaDB leader and a replica by GTID whose applier is stopped, or which is killed,
// frozen or promoted. Each session writes on the leader, then reads where SessionConsistency and
// decide() send it, and must see what it wrote.

#include <homeward/replay/libmariadb.hpp>
#include <homeward/replay/session_consistency.hpp>

#include "tests/publisher/replay/engines/mariadb_session.hpp"
#include "tests/publisher/replay/engines/pairs.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kSessions = 3;
constexpr int kPairsEach = 400;
const TokenKey kKey{"k1", std::string(32, 'a')};

std::string url_of(const MariadbServer& server) {
    return "mariadb://app@127.0.0.1:" + std::to_string(server.port()) + "/shop";
}

/// Leader, replica and an app's reads in front of the replica.
struct Stage {
    explicit Stage(std::uint32_t wait_max_ms) {
        leader.query(
            "CREATE DATABASE shop; USE shop; CREATE TABLE counter (id int PRIMARY KEY, n int);"
            "INSERT INTO counter SELECT seq, 0 FROM seq_1_to_100");
        replica = MariadbServer::replica_of(leader);
        const std::string position = leader.query("SELECT @@gtid_binlog_pos").at(0).at(0);
        replica->query("SELECT MASTER_GTID_WAIT('" + position + "', 60)");
        poller = std::make_unique<ReplicaPoller>(libmariadb_position_source(url_of(*replica)));
        SessionConsistencyOptions options;
        options.wait_max_ms = wait_max_ms;
        reads = std::make_unique<SessionConsistency>(TokenSigner({kKey}), poller.get(), options);
    }

    PairSession session(int id) const {
        const auto on_leader = std::make_shared<MariadbSession>(leader.port());
        const auto on_replica = std::make_shared<MariadbSession>(replica->port());
        const std::string where = " WHERE id = " + std::to_string(id);
        const auto read = [where](const std::shared_ptr<MariadbSession>& session) {
            return [session, where] {
                return std::stoi(session->ask("SELECT n FROM counter" + where));
            };
        };
        const auto write = [on_leader, where](int n) {
            on_leader->ask("UPDATE counter SET n = " + std::to_string(n) + where);
            const auto seen = committed_position(on_leader->get());
            if (!seen) throw std::runtime_error("no position after a commit");
            return *seen;
        };
        return {write, read(on_replica), read(on_leader)};
    }

    int gtid_waits() const {
        return std::stoi(
            replica->query("SHOW GLOBAL STATUS LIKE 'Master_gtid_wait_count'").at(0).at(1));
    }

    MariadbServer leader;
    std::unique_ptr<MariadbServer> replica;
    std::unique_ptr<ReplicaPoller> poller;
    std::unique_ptr<SessionConsistency> reads;
};

}  // namespace

TEST_CASE(
    "of 1,200 writes followed by a read none is read stale while MariaDB's applier is stopped "
    "again and again") {
    const Stage stage(20);
    const int waits = stage.gtid_waits();
    PairCount count;
    const auto disturb = [&] {
        stage.replica->query("STOP SLAVE SQL_THREAD");
        sleep_ms(60);
        stage.replica->query("START SLAVE SQL_THREAD");
        sleep_ms(200);
    };
    run_pairs(
        *stage.reads, [&](int id) { return stage.session(id); }, kSessions, kPairsEach, disturb,
        count);
    WARN(count.pairs << " pairs: " << count.here << " read from the replica, " << count.replayed
                     << " replayed, " << count.stale << " stale");
    CHECK(count.pairs == kSessions * kPairsEach);
    CHECK(count.stale == 0);
    CHECK(count.here > 50);
    CHECK(count.replayed > 10);
    CHECK(stage.gtid_waits() > waits);

    // The same without SessionConsistency, or the test could not fail.
    stage.replica->query("STOP SLAVE SQL_THREAD");
    PairCount eventual;
    write_and_read(*stage.reads, stage.session(50), 20, ReadMode::eventual, eventual);
    CHECK(eventual.stale == 20);
    PairCount session;
    write_and_read(*stage.reads, stage.session(51), 20, ReadMode::session, session);
    CHECK(session.stale == 0);
    CHECK(session.replayed == 20);
}

TEST_CASE("a MariaDB replica that was killed is not believed to be where it was") {
    const Stage stage(5'000);
    const PairSession session = stage.session(1);
    const std::string cookie = cookie_of(*stage.reads, session.write(1));
    REQUIRE(stage.reads->ask(cookie).coverage == Coverage::covered);
    CHECK(stage.reads->ask(cookie).server_role == ServerRole::standby);
    stage.replica->kill();
    CHECK(wait_until(
        30s, [&] { return stage.reads->ask(cookie).coverage == Coverage::position_unknown; }));
    const std::string later = cookie_of(*stage.reads, session.write(2));
    stage.replica->start();
    CHECK(wait_until(60s, [&] { return stage.reads->ask(later).coverage == Coverage::covered; }));
    CHECK(stage.session(1).read_replica() == 2);
}

TEST_CASE("a frozen MariaDB replica costs a session no more than its wait") {
    const Stage stage(50);
    const PairSession session = stage.session(2);
    REQUIRE(wait_until(30s, [&] {
        return stage.reads->ask(cookie_of(*stage.reads, session.write(1))).coverage ==
               Coverage::covered;
    }));
    stage.replica->freeze();
    for (int n = 2; n <= 10; ++n) {
        const std::string cookie = cookie_of(*stage.reads, session.write(n));
        const auto begin = std::chrono::steady_clock::now();
        CHECK(decide_read(stage.reads->ask(cookie)).verdict == Verdict::replay);
        CHECK(std::chrono::steady_clock::now() - begin < 5s);
    }
    stage.replica->thaw();
    const std::string cookie = cookie_of(*stage.reads, session.write(11));
    CHECK(wait_until(60s, [&] { return stage.reads->ask(cookie).coverage == Coverage::covered; }));
}

TEST_CASE("a promoted MariaDB replica has what its leader committed, and signs what it commits") {
    const Stage stage(30'000);
    const PairSession session = stage.session(3);
    const std::string cookie = cookie_of(*stage.reads, session.write(1));
    REQUIRE(stage.reads->ask(cookie).coverage == Coverage::covered);
    const MariadbSession promoted(stage.replica->port());
    CHECK_FALSE(committed_position(promoted.get()));  // it has committed nothing
    stage.replica->query("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = off");
    promoted.ask("UPDATE counter SET n = 2 WHERE id = 3");
    const auto seen = committed_position(promoted.get());
    REQUIRE(seen);
    CHECK(seen->text.find("0-2-") == 0);
    CHECK(stage.reads->ask(cookie_of(*stage.reads, *seen)).coverage == Coverage::covered);
    CHECK(stage.reads->ask(cookie).coverage == Coverage::covered);
    CHECK(stage.poller->role_now() == ServerRole::primary);
    // What the old leader alone commits now is not there.
    const std::string lost = cookie_of(*stage.reads, session.write(3));
    const std::string more = cookie_of(*stage.reads, session.write(4));
    CHECK(stage.reads->ask_now(SessionText{more, {}}, ReadMode::session).coverage ==
          Coverage::behind);
}

TEST_CASE(
    "a commit on MariaDB leaves a token in cookie and header, and another engine's is refused") {
    MariadbServer leader;
    leader.query("CREATE DATABASE shop; CREATE TABLE shop.note (n int)");
    HelperOptions options;
    options.regions = Regions{"scl", "ams"};
    options.keys = {kKey};
    options.database = RegionalUrl{url_of(leader), true, {}};
    options.position_source = libmariadb_position_source;
    const Helper helper(std::move(options));
    const MariadbSession app(leader.port());
    app.ask("INSERT INTO note VALUES (1)");
    HandlerResult result;
    note_commit(helper, app.get(), result);
    CHECK(result.has_committed);
    CHECK(result.seen_token.find("v2.k1.mariadb.0-1-") == 0);
    const auto ask = [&](const std::string& token) {
        return helper.reads()->ask(SessionText{{}, token});
    };
    CHECK(wait_until(30s, [&] { return ask(result.seen_token).coverage == Coverage::covered; }));
    const ReadAnswer other = ask(helper.reads()->token(Position{7, 1, 1000}));
    CHECK(other.token == TokenState::other_engine);
    CHECK(other.coverage == Coverage::not_asked);
    CHECK_THROWS_AS(libmariadb_position_source("postgres://u:secret@h/db"), std::invalid_argument);
    // Many a URL of MariaDB has MySQL's scheme.
    const std::string as_mysql = "mysql" + url_of(leader).substr(std::string("mariadb").size());
    const auto source = libmariadb_position_source(as_mysql);
    CHECK(source->engine() == Engine::mysql);
    const auto position = source->ask();
    REQUIRE(position);
    CHECK(position->at.engine == Engine::mariadb);
    ReplicaPoller poller(libmariadb_position_source(as_mysql));
    const SessionConsistency reads(TokenSigner({kKey}), &poller);
    CHECK(wait_until(30s, [&] {
        return reads.ask(SessionText{{}, result.seen_token}).coverage == Coverage::covered;
    }));
    CHECK(libmariadb_position_source(url_of(leader))->ask());
}
