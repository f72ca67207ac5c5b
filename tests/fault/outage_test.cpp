// Servers that stop, die and come back while events flow; judged by the journal.

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

void expect_clean(Bridge& bridge, Load& load) {
    CHECK(load.stop() == 0);
    const auto begun = std::chrono::steady_clock::now();
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    // It waits for what will be delivered, and not for what a killed server kept after its ack.
    CHECK(std::chrono::steady_clock::now() - begun < 110s);
    const Verdict verdict = load.verdict();
    INFO(proof.output << load.log() << verdict.to_string());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.refused == 0);
    CHECK(verdict.accepted > 1000);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
}

}  // namespace

TEST_CASE("a leader that is killed, stopped and frozen makes no dead letter, and loses nothing") {
    // Method: a clean stop, an immediate kill and a SIGSTOP of the leader, each of some seconds.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"}};
    Bridge bridge(options);
    Load load(bridge);
    bridge.start_consumer();
    load.start();
    sleep_ms(1500);
    bridge.leader().stop();
    sleep_ms(2500);
    bridge.leader().start();
    sleep_ms(1500);
    bridge.leader().kill();
    sleep_ms(1000);
    bridge.leader().start();
    sleep_ms(1500);
    bridge.leader().freeze();
    sleep_ms(3000);
    bridge.leader().thaw();
    sleep_ms(1000);
    expect_clean(bridge, load);
}

TEST_CASE("a leaf and a hub that freeze, die and come back lose nothing that was accepted") {
    // Method: SIGSTOP and SIGKILL of the leaf, which the app writes to, and of the hub, through
    // which the consumer pulls; the app goes on emitting all the while.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"}};
    Bridge bridge(options);
    Load load(bridge);
    bridge.start_consumer();
    load.start();
    for (NatsServer* server : {&bridge.leaf(), &bridge.hub()}) {
        sleep_ms(1000);
        server->freeze();
        sleep_ms(2000);
        server->thaw();
        sleep_ms(1000);
        server->kill();
        sleep_ms(1500);
        server->start();
    }
    sleep_ms(2000);
    expect_clean(bridge, load);
}
