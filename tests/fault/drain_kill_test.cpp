// SIGKILL of the consumer, again and again, while it drains a backlog; judged by the app's journal,
// on a table without a unique index.

#include <algorithm>
#include <cstdio>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kKills = 10;

/// Fills the stream while nobody consumes it; returns how many events were accepted.
std::uint64_t fill(Load& load, std::uint64_t events) {
    load.start();
    REQUIRE(wait_until(180s, [&] {
        sleep_ms(200);
        return load.verdict().accepted >= events;
    }));
    REQUIRE(load.stop() == 0);
    return load.verdict().accepted;
}

}  // namespace

TEST_CASE("ten kills of the consumer in one drain lose nothing and double nothing") {
    // Method: 30,000 events wait (300,000 with --full). Each transaction sleeps for 50 ms, so that
    // a kill finds some under way; the consumer is killed each time when another twelfth has become
    // rows, and the next one begins at once. What the dead had in hand comes again.
    const auto events = static_cast<std::uint64_t>(rounds(30'000, 300'000));
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_ROWS_MAX", std::to_string(events / 60)},
                           {"HOMEWARD_PULL_ACK_WAIT_MS", "1000"}};
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    Load load(bridge, {.threads = 8, .events_per_second = 2'500});
    const std::uint64_t accepted = fill(load, events);
    PostgresServer& leader = bridge.leader();
    leader.query(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END $$;"
        "CREATE TRIGGER linger AFTER INSERT ON audit_events FOR EACH STATEMENT"
        " EXECUTE FUNCTION linger()");
    const auto rows = [&] {
        return static_cast<std::uint64_t>(leader.number("SELECT count(*) FROM audit_events"));
    };

    std::mt19937_64 random(announced_seed());
    double redelivered = 0;
    for (std::uint64_t kill = 1; kill <= kKills; ++kill) {
        bridge.start_consumer();
        INFO(bridge.consumer_log());
        REQUIRE(wait_until(60s, [&] { return rows() >= accepted * kill / (kKills + 2); }));
        redelivered += std::max(0.0, bridge.metric("homeward_redelivered_total"));
        sleep_ms(static_cast<int>(random() % 50));
        bridge.kill_consumer();
        REQUIRE(rows() < accepted);  // else it was no drain any more
    }
    bridge.start_consumer();
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    redelivered += bridge.metric("homeward_redelivered_total");
    const Verdict verdict = load.verdict();
    INFO(proof.output << load.log() << verdict.to_string());
    std::printf("%d kills, %.0f redeliveries; %s\n", kKills, redelivered,
                verdict.to_string().c_str());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.unknown == 0);
    CHECK(verdict.rows == accepted);
    CHECK(redelivered > 0);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter") == 0);
    CHECK(bridge.stop_consumer() == 0);
}
