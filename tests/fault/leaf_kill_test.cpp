// SIGKILL of a region's nats-server under load: it can lose what it acknowledged just before, and
// the publisher sends that again. Judged by journals, on the leader.

#include <algorithm>
#include <cstdio>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("nothing is lost or doubled when the region's nats-server is killed again and again") {
    // Method: 8 threads emit 4,000 events a second; 20 kills (500 with --full) at random moments.
    std::mt19937_64 random(announced_seed());
    const auto below = [&](int limit) {
        return std::uniform_int_distribution<int>(0, limit - 1)(random);
    };
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "300"}};
    Bridge bridge(options);
    Load load(bridge);
    load.start();
    bridge.start_consumer();
    const int kills = rounds(20, 500);
    const auto began = std::chrono::steady_clock::now();
    for (int kill = 0; kill < kills; ++kill) {
        sleep_ms(300 + below(600));
        bridge.leaf().kill();
        // The app is back within some 100 ms; its link to the hub takes the leaf a second more.
        bridge.leaf().start(NatsServer::Until::serving);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    CHECK(load.stop() == 0);
    // Until the end of the app's origin is there, which comes last. Not by `proof --wait`, which
    // waits for empty streams: nats-server 2.9.10 keeps, after a kill, messages that were
    // acknowledged, and neither delivers nor removes them.
    CHECK(wait_until(60s, [&] {
        return bridge.leader().number(
                   "SELECT (count(*) > 0 AND bool_and(state = 'complete'))::int"
                   " FROM homeward.proof") == 1;
    }));
    const CommandResult proof = bridge.consumer_command({"proof", "--final"}, 60s);
    const Verdict verdict = load.verdict();
    INFO(proof.output << load.log() << verdict.to_string());
    std::size_t repeats = 0;
    const std::string log = load.log();
    for (std::size_t at = 0; (at = log.find("are sent again", at)) != std::string::npos; ++at) {
        ++repeats;
    }
    std::printf("%d kills in %.0f s, %zu times frames were sent again; %s\n", kills, took.count(),
                repeats, verdict.to_string().c_str());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.accepted > 500u * static_cast<unsigned>(kills));
    CHECK(repeats > 0);  // else no kill met a frame that was just acknowledged
    CHECK(bridge.stop_consumer() == 0);
}
