// Method: leader A, standby B of A, standby C of B; the app reads from C. Sessions write and read
// without pause while A is killed and B promoted: C stays and follows onto the new timeline.

#include <homeward/replay/libpq.hpp>
#include <homeward/replay/session_consistency.hpp>

#include <atomic>
#include <thread>

#include "tests/publisher/replay/session.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::replay;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

const Regions kReplicaRegion{"scl", "ams"};

struct Count {
    int pairs = 0;
    int stale = 0;
    int here = 0;
    int different_timeline = 0;
    int here_after = 0;  ///< served by C on the new timeline
};

/// One session that never loses what it was told: it writes to whichever leader takes it.
class Visitor {
  public:
    Visitor(const PostgresServer& first, const PostgresServer& second,
            const PostgresServer& replica, const SessionConsistency& reads)
        : first_(first), second_(second), replica_(replica), reads_(reads) {}

    void run(const std::atomic<bool>& is_done) {
        for (int n = 1; !is_done; ++n) {
            const std::string cookie = write(n);
            read(cookie, n);
        }
    }

    Count count;

  private:
    /// Until a leader has committed it. Only the second has what the first had before it died.
    std::string write(int n) {
        while (true) {
            try {
                if (!leader_) leader_ = std::make_unique<Session>(is_second_ ? second_ : first_);
                leader_->ask("UPDATE counter SET n = " + std::to_string(n));
                const auto seen = committed_position(leader_->get());
                if (!seen) throw std::runtime_error("it died before it said where it is");
                const std::string cookie = reads_.set_cookie(*seen);
                return cookie.substr(0, cookie.find(';'));
            } catch (const std::exception&) {
                leader_.reset();
                is_second_ = true;
                sleep_ms(20);
            }
        }
    }

    void read(const std::string& cookie, int n) {
        const ReadAnswer answer = reads_.ask(cookie);
        Situation situation;
        situation.method = "GET";
        situation.coverage = answer.coverage;
        const bool is_here = decide(situation, kReplicaRegion).verdict == Verdict::proceed;
        try {
            const std::string sql = "SELECT n FROM counter";
            const auto seen = is_here ? replica_.number(sql) : leader_->number(sql);
            count.stale += seen != n;
            ++count.pairs;
            count.here += is_here;
            count.here_after += is_here && is_second_;
            count.different_timeline += answer.coverage == Coverage::different_timeline;
        } catch (const std::exception&) {
            leader_.reset();  // the leader died: the next write finds the other one
        }
    }

    const PostgresServer& first_;
    const PostgresServer& second_;
    const Session replica_;
    const SessionConsistency& reads_;
    std::unique_ptr<Session> leader_;
    bool is_second_ = false;
};

}  // namespace

TEST_CASE(
    "through a promotion no read is stale, and the replica serves again on the new timeline") {
    PostgresServer a({"wal_retrieve_retry_interval = '200ms'", "synchronous_standby_names = '*'"});
    a.query("SET synchronous_commit = local; CREATE TABLE counter (n int)");
    a.query("SET synchronous_commit = local; INSERT INTO counter VALUES (0)");
    const auto b = PostgresServer::standby_of(a);
    const auto c = PostgresServer::standby_of(*b);
    ReplicaPoller poller(std::make_unique<LibpqPositionSource>(c->url()));
    SessionConsistencyOptions options;
    options.wait_max_ms = 20;
    const SessionConsistency reads(TokenSigner({{"k1", std::string(32, 'a')}}), &poller, options);

    Visitor visitor(a, *b, *c, reads);
    std::atomic<bool> is_done{false};
    std::thread session([&] { visitor.run(is_done); });
    sleep_ms(1000);
    const std::string old_cookie = [&] {
        const std::string cookie = reads.set_cookie(*committed_position(Session(a).get()));
        return cookie.substr(0, cookie.find(';'));
    }();
    a.kill();
    b->query("ALTER SYSTEM RESET synchronous_standby_names");
    b->promote();
    sleep_ms(1000);
    // A standby proves its timeline with its next restartpoint; until then the leader answers.
    b->query("CHECKPOINT");
    CHECK(wait_until(60s, [&] {
        c->query("CHECKPOINT");
        return c->number("SELECT timeline_id FROM pg_control_checkpoint()") == 2;
    }));
    sleep_ms(1000);
    is_done = true;
    session.join();

    const Count& count = visitor.count;
    WARN(count.pairs << " pairs, " << count.here << " read from the replica, " << count.here_after
                     << " of them on the new timeline; " << count.different_timeline
                     << " replayed for the other history; " << count.stale << " stale");
    CHECK(count.stale == 0);
    CHECK(count.here > count.here_after);
    CHECK(count.here_after > 0);
    CHECK(count.different_timeline > 0);
    CHECK(reads.ask(old_cookie).coverage == Coverage::different_timeline);
}
