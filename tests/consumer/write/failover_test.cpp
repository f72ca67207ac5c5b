// A leader dies, and its standby takes its place: what survives, what is shown to be lost, and
// which leaders are refused.

#include <cstdio>
#include <memory>

#include "tests/consumer/ledger/account.hpp"
#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// A bridge whose leader has a standby, behind a path that can be cut.
class FailoverBridge {
  public:
    explicit FailoverBridge(const std::string& ack_after) : bridge_(options(ack_after)) {
        bridge_.environment()["HOMEWARD_POSTGRES_URL"] =
            "host=127.0.0.1,127.0.0.1 port=" + std::to_string(old_leader().port()) + "," +
            std::to_string(standby_->port()) +
            " user=postgres dbname=postgres target_session_attrs=read-write";
    }
    Bridge& bridge() { return bridge_; }
    PostgresServer& old_leader() { return bridge_.leader(); }
    PostgresServer& new_leader() { return *standby_; }
    bool is_replicated() {
        return old_leader().number(
                   "SELECT count(*) FROM pg_stat_replication"
                   " WHERE flush_lsn = pg_current_wal_flush_lsn()") == 1;
    }
    /// From now on the standby hears nothing.
    void cut_standby() { path_.stop(); }
    void fail_over() {
        old_leader().kill();
        standby_->promote();
    }
    std::string proof_line() {
        const std::string output = bridge_.consumer_command({"proof", "--final"}).output;
        return output.substr(output.rfind("proof: "));
    }

  private:
    static BridgeOptions options(const std::string& ack_after) {
        BridgeOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_ACK_AFTER", ack_after},
                               {"HOMEWARD_PULL_ACK_WAIT_MS", "2000"},
                               {"HOMEWARD_BATCH_DELAY_MS", "5"},
                               {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "200"}};
        return options;
    }

    Bridge bridge_;
    TcpProxy path_{bridge_.leader().port()};
    std::unique_ptr<PostgresServer> standby_ =
        PostgresServer::standby_of(bridge_.leader(), path_.port());
};

}  // namespace

TEST_CASE("acknowledged when replicated: a failover loses nothing and doubles nothing") {
    // Method: frames all the time; the standby hears nothing for the last second of the old
    // leader, and is promoted without it. The old leader then comes back.
    FailoverBridge failover("replicated");
    Bridge& bridge = failover.bridge();
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::uint64_t sent = 0;
    const auto send = [&](int frames) {
        for (int i = 0; i < frames; ++i, sent += 10) sender.send(sender.frame(sent + 1, 10));
    };
    const auto is_there = [&](PostgresServer& leader) {
        return wait_until(60s, [&] { return rows(leader) == static_cast<std::int64_t>(sent); });
    };
    send(100);
    CHECK(is_there(failover.old_leader()));
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_acks_waiting") == 0; }));
    CHECK(wait_until(20s, [&] { return failover.is_replicated(); }));
    failover.cut_standby();
    const std::uint64_t replicated = sent;
    for (int i = 0; i < 10; ++i) {
        send(10);
        sleep_ms(50);
    }
    CHECK(is_there(failover.old_leader()));
    // Rows flow on, acks do not; and nothing is delivered twice because of that.
    CHECK(bridge.metric("homeward_acks_waiting") > 0);
    sleep_ms(2'500);
    CHECK(bridge.metric("homeward_redelivered_total") == 0);

    failover.fail_over();
    CHECK(wait_until(30s, [&] {
        return failover.new_leader().query("SELECT pg_is_in_recovery()") == Rows{{"f"}};
    }));
    const auto promoted = std::chrono::steady_clock::now();
    CHECK(rows(failover.new_leader()) <= static_cast<std::int64_t>(replicated));
    send(10);
    CHECK(wait_until(
        60s, [&] { return rows(failover.new_leader()) > static_cast<std::int64_t>(replicated); }));
    std::printf("writing went on %.1f s after the promotion\n",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - promoted).count());
    INFO(bridge.consumer_log());
    CHECK(is_there(failover.new_leader()));
    CHECK(distinct_rows(failover.new_leader()) == static_cast<std::int64_t>(sent));
    CHECK(bridge.metric("homeward_redelivered_total") > 0);
    // The new leader has no standby yet: nothing is acknowledged until it has one.
    CHECK(bridge.metric("homeward_acks_waiting") > 0);
    const auto next = PostgresServer::standby_of(failover.new_leader());
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_acks_waiting") == 0; }));
    CHECK_THAT(failover.proof_line(), Contains(" missing=0 duplicated=0"));

    // The old leader takes writes again, and stands first in the list.
    failover.old_leader().start();
    CHECK(bridge.stop_consumer() == 0);
    bridge.start_consumer();
    send(1);
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_paused") == 1; }));
    CHECK_THAT(bridge.consumer_log(), Contains("timeline 1, below timeline 2"));
    CHECK(failover.old_leader().number("SELECT max(seq) FROM audit_events") <
          static_cast<std::int64_t>(sent));
    failover.old_leader().stop();
    CHECK(is_there(failover.new_leader()));
    CHECK(has_packs_if_packed(failover.new_leader()));
}

TEST_CASE("a leader that freezes for good is left for its standby") {
    FailoverBridge failover("commit");
    Bridge& bridge = failover.bridge();
    bridge.environment()["HOMEWARD_POSTGRES_STATEMENT_TIMEOUT_MS"] = "2000";
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(20s, [&] { return rows(failover.old_leader()) == 10; }));
    CHECK(wait_until(20s, [&] { return failover.is_replicated(); }));
    failover.old_leader().freeze();
    sender.send(sender.frame(11, 10));
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_leader_up") == 0; }));
    CHECK_THAT(bridge.consumer_log(), Contains("the leader has stalled: no answer for 7 s"));
    failover.new_leader().promote();
    CHECK(wait_until(60s, [&] { return rows(failover.new_leader()) == 20; }));
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_leader_up") == 1; }));
    INFO(bridge.consumer_log());
    CHECK_THAT(failover.proof_line(), Contains(" missing=0 duplicated=0"));
    CHECK(bridge.stop_consumer() == 0);
    failover.old_leader().thaw();
}

TEST_CASE("acknowledged at commit: what an unfinished standby lacks is lost, and shown to be") {
    // Method: as above; 40 origins begin after the standby's last word. The new leader gives the
    // numbers of some of them to others.
    FailoverBridge failover("commit");
    Bridge& bridge = failover.bridge();
    bridge.start_consumer();
    FramePublisher known(bridge.leaf().port(), "ams", "shop");
    known.send(known.frame(1, 10));
    CHECK(wait_until(20s, [&] { return rows(failover.old_leader()) == 10; }));
    CHECK(wait_until(20s, [&] { return failover.is_replicated(); }));
    failover.cut_standby();
    constexpr int kOrigins = 40;
    std::vector<std::unique_ptr<FramePublisher>> lost;
    known.send(known.frame(11, 10));
    for (int i = 0; i < kOrigins; ++i) {
        lost.push_back(std::make_unique<FramePublisher>(bridge.leaf().port(), "ams", "shop"));
        lost.back()->send(lost.back()->frame(1, 10));
    }
    CHECK(wait_until(20s, [&] { return rows(failover.old_leader()) == 20 + 10 * kOrigins; }));
    expect_clean(bridge);
    failover.fail_over();
    CHECK(wait_until(40s, [&] {
        return bridge.metric("homeward_failover_lacking_frames_total") == kOrigins + 1;
    }));
    CHECK_THAT(bridge.consumer_log(), Contains("lacks 41 frames"));
    INFO(bridge.consumer_log());
    CHECK_THAT(failover.proof_line(),
               Contains("committed=10 ") && Contains(" missing=410 duplicated=0"));

    // Life goes on: every origin, new or known, has its own rows.
    std::vector<std::unique_ptr<FramePublisher>> fresh;
    for (int i = 0; i < kOrigins; ++i) {
        fresh.push_back(std::make_unique<FramePublisher>(bridge.leaf().port(), "ams", "shop"));
        fresh.back()->send(fresh.back()->frame(1, 10));
        lost[static_cast<std::size_t>(i)]->send(lost[static_cast<std::size_t>(i)]->frame(11, 10));
    }
    CHECK(wait_until(30s, [&] { return rows(failover.new_leader()) == 10 + 20 * kOrigins; }));
    // An event under a number of the old leader's would be nobody's, and not be counted.
    CHECK_THAT(failover.proof_line(),
               Contains(" committed=810 ") && Contains(" missing=410 duplicated=0"));
    CHECK(conflicts(failover.new_leader()) == 0);
}

TEST_CASE("another cluster is refused, until an operator says that it is the one") {
    Bridge bridge;
    PostgresServer other;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
    CHECK(bridge.stop_consumer() == 0);
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = other.url();
    bridge.start_consumer();
    sender.send(sender.frame(11, 10));
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_paused") == 1; }));
    CHECK_THAT(bridge.consumer_log(), Contains("another cluster") && Contains("leader accept"));
    CHECK(rows(other) == 0);
    const CommandResult accepted = bridge.consumer_command({"leader", "accept"});
    CHECK_THAT(accepted.output, Contains("timeline 1"));
    CHECK(accepted.exit_code == 0);
    CHECK(wait_until(20s, [&] { return rows(other) == 10; }));
}

TEST_CASE("a region that is cut off does not keep the others from the leader") {
    // Method: the consumer has to connect to the leader anew while the leaf of one region is dead,
    // whose durables it cannot ask for whom they have acknowledged.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SOURCES", "ams@ams,scl@hub"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.hub().port(), "scl", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
    bridge.leaf().kill();
    bridge.leader().query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'homeward-consumer'");
    sender.send(sender.frame(11, 10));
    CHECK(wait_until(40s, [&] { return rows(bridge.leader()) == 20; }));
    INFO(bridge.consumer_log());
    CHECK(rows(bridge.leader()) == 20);
}

TEST_CASE("a leader that is read-only is waited for, and makes no dead letter") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
    const auto set_read_only = [&](const std::string& value) {
        bridge.leader().query("ALTER SYSTEM SET default_transaction_read_only = " + value);
        bridge.leader().query("SELECT pg_reload_conf()");
        // A new session has it only when all others have been told.
        const Rows wanted{{value}};
        CHECK(wait_until(30s, [&] {
            return bridge.leader().query("SHOW default_transaction_read_only") == wanted;
        }));
    };
    set_read_only("on");
    sender.send(sender.frame(11, 10));
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_leader_up") == 0; }));
    CHECK(bridge.metric("homeward_paused") == 0);
    CHECK(rows(bridge.leader()) == 10);
    set_read_only("off");
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 20; }));
    CHECK(dead_letters(bridge.leader()) == 0);
}

TEST_CASE("what was acknowledged outlives a crash of a leader that would commit asynchronously") {
    // Method: the database's own default is synchronous_commit = off, with a log writer that sleeps
    // for 10 s; the leader is killed as soon as the stream is empty.
    BridgeOptions options;
    options.leader_settings = {"wal_writer_delay = 10s", "wal_writer_flush_after = 0"};
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("ALTER DATABASE postgres SET synchronous_commit = off");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_messages_total") == 1; }));
    bridge.leader().kill();
    bridge.leader().start();
    CHECK(rows(bridge.leader()) == 10);
}
