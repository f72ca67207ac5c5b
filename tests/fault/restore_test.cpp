// A leader that is lost and comes back from a backup; judged by the journal.

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

std::string now_rfc3339(const PostgresServer& server) {
    return server
        .query(
            "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '1 minute',"
            " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        .at(0)
        .at(0);
}

std::int64_t rows(Bridge& bridge) {
    return bridge.leader().number("SELECT count(*) FROM audit_events");
}

}  // namespace

TEST_CASE("what a backup lacks is read again from the streams' history, and nothing is doubled") {
    // Method: two runs of the app before the backup, one of them going on after it, a third after
    // it: its origin is unknown to the backup. Then the leader is lost, the backup restored, and a
    // fourth run comes, which gets the third's number there. The consumer runs all the while.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_STREAMS_HISTORY_HOURS", "24"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "300"}};
    Bridge bridge(options);
    const std::string since = now_rfc3339(bridge.leader());
    Load load(bridge);
    bridge.start_consumer();
    NatsClient plain(bridge.leaf().port());
    const auto publish_plain = [&](int count) {
        for (int i = 0; i < count; ++i) {
            plain.publish("homeward.plain.ams.web",
                          R"({"type":"metric","name":"m","kind":"gauge","value":1})");
        }
    };
    load.start();
    sleep_ms(700);
    CHECK(load.stop() == 0);
    load.start();
    publish_plain(20);
    CHECK(wait_until(60s, [&] { return rows(bridge) > 1'000; }));
    bridge.leader().back_up();
    publish_plain(20);
    sleep_ms(500);
    CHECK(load.stop() == 0);
    load.start();
    sleep_ms(1000);
    const auto metrics = [&] {
        return bridge.leader().number("SELECT count(*) FROM metric_events");
    };
    CHECK(wait_until(60s, [&] { return metrics() == 40; }));
    const std::int64_t before = rows(bridge);

    bridge.leader().restore();
    bridge.leader().start();
    CHECK(rows(bridge) < before);  // else nothing was lost, and nothing is tested
    CHECK(load.stop() == 0);
    load.start();
    publish_plain(20);
    sleep_ms(700);
    CHECK(load.stop() == 0);

    const CommandResult lacking = bridge.consumer_command({"proof", "--wait", "5", "--final"}, 60s);
    INFO(lacking.output);
    CHECK(lacking.exit_code == 1);

    const CommandResult replay = bridge.consumer_command({"backfill", "--since", since}, 180s);
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    const Verdict verdict = load.verdict();
    INFO(replay.output << proof.output << load.log() << verdict.to_string()
                       << bridge.consumer_log());
    CHECK(replay.exit_code == 0);
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(metrics() == 60);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.conflict") == 0);

    const CommandResult again = bridge.consumer_command({"backfill", "--since", since}, 180s);
    INFO(again.output);
    CHECK(again.exit_code == 0);
    CHECK(again.output.find(" 0 events were missing") != std::string::npos);
    CHECK(load.verdict().is_clean());
    CHECK(has_packs_if_packed(bridge.leader()));
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("streams without a history say so, and how long one is kept can be changed later") {
    Bridge bridge;
    const CommandResult replay =
        bridge.consumer_command({"replay", "--since", "2026-01-01T00:00:00Z"});
    CHECK(replay.exit_code == 2);
    CHECK(replay.output.find("streams.history_hours") != std::string::npos);
    CHECK(bridge.consumer_command({"replay", "--since", "yesterday"}).exit_code == 2);

    bridge.environment()["HOMEWARD_STREAMS_HISTORY_HOURS"] = "24";
    const auto plan = [&] { return bridge.consumer_command({"streams", "plan"}).output; };
    CHECK(plan().find("HOMEWARD_AUDIT_ams keeps no history") != std::string::npos);

    bridge.environment()["HOMEWARD_SOURCES"] = "scl@hub";
    REQUIRE(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    CHECK(plan().find("all streams and durables are there") != std::string::npos);
    bridge.environment()["HOMEWARD_STREAMS_HISTORY_HOURS"] = "48";
    CHECK(plan().find("keep the history of stream HOMEWARD_AUDIT_scl for 48 hours") !=
          std::string::npos);
    REQUIRE(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    CHECK(plan().find("all streams and durables are there") != std::string::npos);
    bridge.environment()["HOMEWARD_STREAMS_HISTORY_HOURS"] = "0";
    CHECK(plan().find("HOMEWARD_AUDIT_scl keeps a history") != std::string::npos);
}
