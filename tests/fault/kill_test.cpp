// SIGKILL at random moments under load, of the consumer and of the app; judged by a journal that
// the emitting threads write outside the tested path, on a table without a unique index.

#include <algorithm>
#include <cstdio>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("nothing is lost or doubled when consumer and app are killed at random moments") {
    // Method: 8 threads emit 4,000 events a second; the consumer is killed 20 times (200 with
    // --full) and the app a quarter as often, each at a random moment after its start. Deliveries
    // are repeated after 2 s, so every kill under load leaves redeliveries to the next.
    std::mt19937_64 random(announced_seed());
    const auto moment = [&](int from_ms, int to_ms) {
        sleep_ms(std::uniform_int_distribution<int>(from_ms, to_ms)(random));
    };
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"},
                           {"HOMEWARD_LEDGER_FOLD_INTERVAL_MS", "300"}};
    Bridge bridge(options);
    Load load(bridge);
    load.start();
    double redelivered = 0;
    const int kills = rounds(20, 200);
    for (int kill = 1; kill <= kills; ++kill) {
        bridge.start_consumer();
        moment(50, 900);
        redelivered += std::max(0.0, bridge.metric("homeward_redelivered_total"));
        moment(0, 50);
        bridge.kill_consumer();
        if (kill % 4 != 0) continue;
        load.kill();
        moment(0, 100);
        load.start();
    }
    bridge.start_consumer();
    CHECK(load.stop() == 0);
    CHECK(load.send_what_was_left() == 0);

    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    redelivered += bridge.metric("homeward_redelivered_total");
    const Verdict verdict = load.verdict();
    INFO(proof.output << load.log() << verdict.to_string());
    std::printf("%d kills, %.0f redeliveries; %s\n", kills, redelivered,
                verdict.to_string().c_str());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.accepted > 1000u * static_cast<unsigned>(kills));
    CHECK(redelivered > 0);  // else no kill met a transaction, and nothing was tested
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
    CHECK(bridge.stop_consumer() == 0);
}
