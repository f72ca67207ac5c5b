// Bounds of dead letters: of all together, and of one source.

#include <nlohmann/json.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/consumer/repair/letters.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("when the dead letters are full, bad audit waits in its stream and the good goes on") {
    BridgeOptions options = quick();
    options.environment["HOMEWARD_DEAD_LETTERS_LETTERS_MAX"] = "5";
    options.environment["HOMEWARD_PULL_ACK_WAIT_MS"] = "2000";
    Bridge bridge(options);
    bridge.start_consumer();
    // Of several apps: one alone may take half of the room.
    NatsClient client(bridge.leaf().port());
    for (const char* app : {"a", "a", "b", "b", "c"}) {
        client.publish(plain_subject("ams", app), "bad");
    }
    settled(bridge);
    REQUIRE(letters(bridge, "open") == 5);
    client.publish(plain_subject("ams", "d"), "one too many");
    client.publish(plain_subject("ams", "d"), audit_line("good"));
    CHECK(wait_until(
        20s, [&] { return bridge.leader().number("SELECT count(*) FROM audit_events") == 1; }));
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_dead_letter_quota_full") == 1; }));
    CHECK(letters(bridge, "open") == 5);
    CHECK(bridge.metric("homeward_delayed_naks_total") >= 1);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "1"});
    CHECK(proof.exit_code == 0);

    // Metric frames have their bad events counted, and no more.
    NatsClient(bridge.leaf().port())
        .publish(frame_subject(EventClass::metric, "ams", "shop"),
                 metric_frame(
                     {"bad", R"({"type":"metric","name":"m","kind":"gauge","value":1})", "bad"}));
    CHECK(wait_until(
        20s, [&] { return bridge.leader().number("SELECT count(*) FROM metric_events") == 1; }));
    CHECK(letters(bridge, "open") == 5);
    CHECK(bridge.leader().number("SELECT sum(seq_last - seq_first + 1) FROM homeward.tombstone"
                                 " WHERE reason = 'dead_letters_full'") == 2);

    // A person makes room; after its delay the stream brings the frame again.
    CHECK(bridge.consumer_command({"dead-letters", "discard", "--all"}).exit_code == 0);
    CHECK(wait_until(30s, [&] { return letters(bridge, "open") == 1; }));
    CHECK(settled(bridge).find(" dead=6 ") != std::string::npos);
}

TEST_CASE(
    "a flood of bad events holds its source alone, and makes few dead letters until allowed") {
    // Method: far more messages than a durable of this size could have in hand, had they to be
    // acknowledged before others are delivered.
    BridgeOptions options = quick();
    options.environment["HOMEWARD_BATCH_BAD_EVENTS_MAX"] = "10";
    options.environment["HOMEWARD_PULL_MESSAGES_MAX"] = "16";
    options.environment["HOMEWARD_DEAD_LETTERS_SOURCE_LETTERS_MAX"] = "50";
    Bridge bridge(options);
    bridge.start_consumer();
    NatsClient client(bridge.leaf().port());
    std::string flood = audit_line("good") + "\n";
    for (int i = 0; i < 11; ++i) flood += "{\"type\":\"audit\",\"actor\":7}\n";
    constexpr int kHeld = 100;
    for (int i = 0; i < kHeld; ++i) client.publish(plain_subject("ams", "stale"), flood);
    const std::string held = "homeward_held{kind=\"source\",name=\"ams/stale\"}";
    CHECK(wait_until(30s, [&] {
        return bridge.metric(held) == 1 && bridge.metric("homeward_delayed_naks_total") >= kHeld;
    }));
    // Others of its region, and what is good of its own, flow.
    const auto has_rows = [&](int count) {
        return wait_until(10s, [&] {
            return bridge.leader().number("SELECT count(*) FROM audit_events") == count;
        });
    };
    // Each writer may have seen room for one message more; what is quarantined has its good events.
    const std::int64_t quarantined = letters(bridge, "open");
    CHECK(quarantined >= 50);
    CHECK(quarantined < 50 + 2 * 5 * 11);
    const auto good = static_cast<int>(quarantined / 11);
    CHECK(has_rows(good));
    for (int i = 1; i <= 5; ++i) {
        client.publish(plain_subject("ams", i % 2 == 0 ? "stale" : "shop"), audit_line("fine"));
        CHECK(has_rows(good + i));
    }
    CHECK(bridge.metric("homeward_paused") == 0);
    CHECK(bridge.admin("/readyz").find("ok") != std::string::npos);
    CHECK_THAT(bridge.consumer_log(), Catch::Matchers::Contains("ams/stale is held") &&
                                          Catch::Matchers::Contains("batch.bad_events_max") &&
                                          Catch::Matchers::Contains("\"actor\" is not a string"));
    CHECK_THAT(bridge.admin("/status.json"),
               Catch::Matchers::Contains("Bad events of ams/stale are held"));
    CHECK(letters(bridge, "open") == quarantined);
    const CommandResult sources = bridge.consumer_command({"dead-letters", "sources"});
    INFO(sources.output);
    CHECK_THAT(sources.output,
               Catch::Matchers::Contains("ams/stale") &&
                   Catch::Matchers::Contains(" " + std::to_string(quarantined) + " ") &&
                   Catch::Matchers::Contains("\"actor\" is not a string; {\"type\":\"audit\""));
    const auto listed = nlohmann::json::parse(
        bridge.consumer_command({"dead-letters", "sources", "--json"}).output);
    CHECK(listed.at(0)["open"] == quarantined);
    CHECK(listed.at(0)["app"] == "stale");
    CHECK(bridge.stop_consumer() == 0);

    // Another process knows it from the leader: not one letter more, though its limit is its own.
    bridge.start_consumer();
    client.publish(plain_subject("ams", "stale"), flood);
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_delayed_naks_total") >= 1; }));
    CHECK(letters(bridge, "open") == quarantined);
    CHECK(bridge.stop_consumer() == 0);

    bridge.environment()["HOMEWARD_BATCH_BAD_EVENTS_MAX"] = "10000";
    bridge.start_consumer();
    const bool all_came =
        wait_until(200s, [&] { return letters(bridge, "open") == 11L * (kHeld + 1); });
    INFO(bridge.consumer_log());
    CHECK(all_came);
    settled(bridge);
}
