// Method: an admin limits max_deliver of a durable, and its messages are delivered that often to
// somebody who acknowledges none. The stream keeps them and its durable has forgotten them, as
// after a downgrade of nats-server; every number that was looked at before is zero.

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";
constexpr int kMessages = 25;

}  // namespace

TEST_CASE("messages that will never be delivered are named by check, health and a metric") {
    Bridge bridge;
    NatsClient leaf(bridge.leaf().port());
    leaf.request("$JS.API.CONSUMER.DURABLE.CREATE.HOMEWARD_PLAIN_ams.homeward_plain_ams",
                 R"({"stream_name":"HOMEWARD_PLAIN_ams","config":{)"
                 R"("durable_name":"homeward_plain_ams","ack_policy":"explicit",)"
                 R"("deliver_policy":"all","max_deliver":1,"ack_wait":1000000000,)"
                 R"("max_ack_pending":16384,"replay_policy":"instant"}})");
    for (int i = 0; i < kMessages; ++i) leaf.publish("homeward.plain.ams.shop", kLine);
    const std::string limited = "homeward_plain_ams gives a message up after 1 deliveries";
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains(limited) && !Contains("never will be"));

    // Delivered once, to somebody who says nothing.
    leaf.send_to("$JS.API.CONSUMER.MSG.NEXT.HOMEWARD_PLAIN_ams.homeward_plain_ams",
                 R"({"batch":100,"no_wait":true})", leaf.inbox());
    bridge.start_consumer();
    CHECK(wait_until(20s, [&] {
        return bridge.metric("homeward_max_deliver{stream=\"HOMEWARD_PLAIN_ams\"}") == 1;
    }));
    CHECK_THAT(bridge.admin("/status.json"), Contains("gives a message up after 1 delivery"));
    // Only what lasts for a minute is believed.
    const std::string series = "homeward_undeliverable_messages{stream=\"HOMEWARD_PLAIN_ams\"}";
    CHECK(bridge.metric(series) == 0);
    CHECK(wait_until(90s, [&] { return bridge.metric(series) == kMessages; }));
    CHECK_THAT(bridge.admin("/status.json"),
               Contains("25 messages of HOMEWARD_PLAIN_ams will never be delivered"));
    CHECK_THAT(bridge.admin("/readyz"), Contains(" 200 ") && Contains("will never be delivered"));

    const std::string lost =
        std::to_string(kMessages) + " messages of stream HOMEWARD_PLAIN_ams are neither waiting";
    CHECK(wait_until(20s, [&] {
        return bridge.consumer_command({"check"}).output.find(lost) != std::string::npos;
    }));

    // The way out that the runbook has.
    CHECK_THAT(bridge.consumer_command({"streams", "apply"}).output,
               Contains("max_deliver 1 -> -1"));
    leaf.request("$JS.API.CONSUMER.DELETE.HOMEWARD_PLAIN_ams.homeward_plain_ams", "");
    bridge.stop_consumer();
    CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    bridge.start_consumer();
    CHECK(wait_until(20s, [&] {
        return bridge.leader().number("SELECT count(*) FROM audit_events") == kMessages;
    }));
}
