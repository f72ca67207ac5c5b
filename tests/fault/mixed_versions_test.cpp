// Publishers and consumers of this version and of v0.1.0 side by side. In the short run frames that
// v0.1.0 wrote (schemas/golden) and a spool that it left (publisher/spools); with HOMEWARD_FULL
// v0.1.0's own programs, built from the sources in releases/, which takes minutes the first time.

#include <cstdlib>
#include <fstream>

#include "schemas/nats/subject.hpp"
#include "tests/publisher/spool/kept_spool.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

bool is_full() {
    return std::getenv("HOMEWARD_FULL") != nullptr;
}

/// v0.1.0's programs; built once, and kept in the build directory.
class OldRelease {
  public:
    OldRelease() {
        const std::filesystem::path place = HOMEWARD_OLD_RELEASE_DIR;
        std::filesystem::create_directories(place);
        run({"tar", "-xzf", HOMEWARD_OLD_RELEASE_ARCHIVE, "-C", place});
        build_ = place / "build";
        run({"cmake", "-S", place / "v0.1.0", "-B", build_, "-G", "Ninja",
             "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1"});
        run({"cmake", "--build", build_, "--target", "homeward-consumer", "homeward-emit"});
    }
    std::string consumer() const { return build_ / "consumer" / "homeward-consumer"; }
    std::string emit() const { return build_ / "publisher" / "homeward-emit"; }

  private:
    static void run(const std::vector<std::string>& command) {
        const CommandResult result = run_command(command, {}, 50min);
        INFO(result.output);
        REQUIRE(result.exit_code == 0);
    }
    std::filesystem::path build_;
};

/// Whole lines on standard input of either version's homeward-emit; returns what it says.
CommandResult emit(Bridge& bridge, const std::string& program, int first, int count) {
    const TempDir dir;
    {
        std::ofstream input(dir / "input");
        for (int i = first; i < first + count; ++i) {
            input << R"({"type":"audit","actor":"user:1","action":"order.view","resource":"order:)"
                  << i << "\",\"outcome\":\"allowed\"}\n";
        }
    }
    ProcessOptions options;
    options.input = dir / "input";
    return run_command(
        {program, "--server", bridge.leaf().url(), "--region", "ams", "--app", "shop"}, options);
}

Process start_old_consumer(Bridge& bridge, const OldRelease& old, const std::string& log) {
    ProcessOptions options;
    options.environment = bridge.environment();
    options.environment["HOMEWARD_ADMIN_LISTEN"] = "127.0.0.1:" + std::to_string(free_port());
    options.log = log;
    return Process({old.consumer(), "run"}, options);
}

CommandResult old_command(Bridge& bridge, const OldRelease& old,
                          const std::vector<std::string>& words) {
    std::vector<std::string> command{old.consumer()};
    command.insert(command.end(), words.begin(), words.end());
    ProcessOptions options;
    options.environment = bridge.environment();
    return run_command(command, options, 90s);
}

/// All of order:1 … order:`count`, once each.
void expect_orders(Bridge& bridge, int count) {
    const std::string all = std::to_string(count);
    CHECK(wait_until(
        60s, [&] { return bridge.leader().number("SELECT count(*) FROM audit_events") >= count; }));
    CHECK(bridge.leader().query("SELECT count(*), count(DISTINCT resource) FROM audit_events") ==
          Rows{{all, all}});
}

}  // namespace

TEST_CASE("frames that v0.1.0 wrote become rows, tombstones and marks") {
    Bridge bridge;
    bridge.start_consumer();
    NatsClient client(bridge.leaf().port());
    for (const char* name : {"v1-audit", "v1-count-only", "v1-possible-duplicates"}) {
        client.publish(frame_subject(EventClass::audit, "ams", "shop"),
                       read_file(std::string(HOMEWARD_GOLDEN_FRAMES "/") + name + ".frame"));
    }
    for (const char* name : {"v1-metric-tombstone", "v1-closing-mark"}) {
        client.publish(frame_subject(EventClass::metric, "ams", "shop"),
                       read_file(std::string(HOMEWARD_GOLDEN_FRAMES "/") + name + ".frame"));
    }
    PostgresServer& leader = bridge.leader();
    CHECK(wait_until(30s, [&] {
        return leader.number("SELECT count(*) FROM homeward.tombstone") == 1 &&
               leader.number("SELECT count(*) FROM audit_events") == 3 &&
               leader.number("SELECT count(*) FROM homeward.dead_letter") == 3;
    }));
    INFO(bridge.consumer_log());
    CHECK(leader.query("SELECT resource FROM audit_events ORDER BY origin, seq") ==
          Rows{{"order:1001"}, {"order:1002"}, {"order:1003"}});
    CHECK(leader.query("SELECT seq_first, seq_last, reason FROM homeward.tombstone") ==
          Rows{{"102", "613", "dropped"}});
    // Metrics of 2023 are older than their retention.
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter WHERE type = 'metric'") == 2);
    CHECK(leader.number("SELECT count(*) FROM homeward.conflict") == 0);
    // The frame with seqs close to 2^63, which no publisher reaches.
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter"
                        " WHERE reason LIKE '%beyond 2^48%'") == 1);
    CHECK(leader.query("SELECT sum(committed), sum(duplicated) FROM homeward.proof") ==
          Rows{{"3", "0"}});
}

TEST_CASE("every event of a spool that v0.1.0 left becomes one row, and its origin ends whole") {
    // Method: the leaf has what v0.1.0 sent before it was killed; today's programs send the rest.
    Bridge bridge;
    bridge.start_consumer();
    const KeptSpool kept;
    NatsClient client(bridge.leaf().port());
    for (const std::string& frame : kept.sent_frames()) {
        client.publish(frame_subject(EventClass::audit, "ams", "shop"), frame);
    }
    std::vector<std::string> command;
    SECTION("homeward-spool drain") {
        command = {HOMEWARD_SPOOL_PROGRAM, "drain", kept.spool(), "--server", bridge.leaf().url()};
    }
    SECTION("the start of a publisher on the same spool") {
        command = {HOMEWARD_EMIT_PROGRAM,
                   "--server",
                   bridge.leaf().url(),
                   "--region",
                   "ams",
                   "--app",
                   "shop",
                   "--spool",
                   kept.spool()};
    }
    const CommandResult sent = run_command(command);
    INFO(sent.output);
    CHECK(sent.exit_code == 0);
    CHECK_FALSE(std::filesystem::exists(kept.directory()));

    PostgresServer& leader = bridge.leader();
    CHECK(
        wait_until(30s, [&] { return leader.number("SELECT count(*) FROM audit_events") == 315; }));
    CHECK(leader.query("SELECT count(DISTINCT (origin, seq)), min(seq), max(seq)"
                       " FROM audit_events") == Rows{{"315", "1", "315"}});
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    CHECK(leader.query("SELECT state, accepted, committed, region, app FROM homeward.proof"
                       " WHERE publisher = '" +
                       std::string(KeptSpool::kPublisher) + "'") ==
          Rows{{"complete", "315", "315", "ams", "shop"}});
}

TEST_CASE("v0.1.0's publisher with this consumer, and this publisher with v0.1.0's consumer") {
    if (!is_full()) return;
    const OldRelease old;
    Bridge bridge;
    SECTION("old publisher, new consumer") {
        bridge.start_consumer();
        CHECK(emit(bridge, old.emit(), 1, 2'000).exit_code == 0);
        expect_orders(bridge, 2'000);
        CHECK(bridge.consumer_command({"proof", "--wait", "60"}, 90s).exit_code == 0);
    }
    SECTION("new publisher, old consumer") {
        REQUIRE(old_command(bridge, old, {"schema", "apply"}).exit_code == 0);
        const std::string log = bridge.dir() / "old.log";
        Process consumer = start_old_consumer(bridge, old, log);
        const CommandResult emitted = emit(bridge, HOMEWARD_EMIT_PROGRAM, 1, 2'000);
        INFO(emitted.output);
        CHECK(emitted.exit_code == 0);
        expect_orders(bridge, 2'000);
        const CommandResult proof = old_command(bridge, old, {"proof", "--wait", "60"});
        INFO(proof.output << read_file(log));
        CHECK(proof.exit_code == 0);
        CHECK(consumer.stop() == 0);
    }
}

TEST_CASE("an upgrade from v0.1.0 with its consumer running beside loses and doubles nothing") {
    if (!is_full()) return;
    const OldRelease old;
    Bridge bridge;
    const std::string log = bridge.dir() / "old.log";
    REQUIRE(old_command(bridge, old, {"schema", "apply"}).exit_code == 0);
    Process consumer = start_old_consumer(bridge, old, log);
    CHECK(emit(bridge, old.emit(), 1, 1'000).exit_code == 0);
    expect_orders(bridge, 1'000);

    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    // On the migrated leader: the old one alone, then both, then the new one alone.
    CHECK(emit(bridge, old.emit(), 1'001, 1'000).exit_code == 0);
    expect_orders(bridge, 2'000);
    bridge.start_consumer();
    CHECK(emit(bridge, HOMEWARD_EMIT_PROGRAM, 2'001, 1'000).exit_code == 0);
    CHECK(emit(bridge, old.emit(), 3'001, 1'000).exit_code == 0);
    expect_orders(bridge, 4'000);
    INFO(read_file(log));
    CHECK(consumer.is_running());
    CHECK(consumer.stop() == 0);
    CHECK(emit(bridge, old.emit(), 4'001, 1'000).exit_code == 0);
    expect_orders(bridge, 5'000);
    CHECK(bridge.consumer_command({"proof", "--wait", "60"}, 90s).exit_code == 0);
    CHECK_THAT(read_file(log), !Contains("[error]"));

    // As the RUNBOOK says: started anew, it refuses a leader that it does not know.
    Process again = start_old_consumer(bridge, old, log);
    CHECK(again.wait(60s) != 0);
    CHECK_THAT(read_file(log), Contains("HW003"));
}
