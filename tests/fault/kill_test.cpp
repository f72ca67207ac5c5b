// SIGKILL at random moments under load, of the consumer and of the app; judged by a journal that
// the emitting threads write outside the tested path, on a table without a unique index.

#include <algorithm>
#include <cstdio>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("nothing is lost or doubled when consumer and app are killed at random moments") {
    // Method: 8 threads emit 4,000 events a second. In each of 20 rounds (200 with --full) consumer
    // and app are killed, either of them first, each at a random moment; in every fourth the app
    // once more within its first 100 ms, where it is at what earlier ones have left. Deliveries are
    // repeated after 2 s, so every kill under load leaves redeliveries to the next.
    std::mt19937_64 random(announced_seed());
    const auto below = [&](int limit) {
        return std::uniform_int_distribution<int>(0, limit - 1)(random);
    };
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "300"}};
    Bridge bridge(options);
    Load load(bridge);
    int app_kills = 0;
    double redelivered = 0;
    const auto kill_app = [&] {
        load.kill();
        ++app_kills;
    };
    const auto kill_consumer = [&] {
        redelivered += std::max(0.0, bridge.metric("homeward_redelivered_total"));
        sleep_ms(below(50));
        bridge.kill_consumer();
    };
    const int rounds_max = rounds(20, 200);
    for (int round = 1; round <= rounds_max; ++round) {
        load.start();
        if (round % 4 == 0) {
            sleep_ms(below(100));
            kill_app();
            load.start();
        }
        bridge.start_consumer();
        sleep_ms(50 + below(700));
        if (below(2) == 0) {
            kill_app();
            sleep_ms(below(200));
            kill_consumer();
        } else {
            kill_consumer();
            sleep_ms(below(200));
            kill_app();
        }
    }
    load.start();
    bridge.start_consumer();
    CHECK(load.stop() == 0);
    CHECK(load.send_what_was_left() == 0);

    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    redelivered += bridge.metric("homeward_redelivered_total");
    const Verdict verdict = load.verdict();
    INFO(proof.output << load.log() << verdict.to_string());
    std::printf("%d kills of the consumer, %d of the app, %.0f redeliveries; %s\n", rounds_max,
                app_kills, redelivered, verdict.to_string().c_str());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.accepted > std::uint64_t{1000} * static_cast<unsigned>(rounds_max));
    CHECK(redelivered > 0);  // else no kill met a transaction, and nothing was tested
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
    CHECK(has_packs_if_packed(bridge.leader()));
    CHECK(bridge.stop_consumer() == 0);
}
