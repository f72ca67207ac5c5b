// Method: two apps of one region, and one in another, with the logins of deploy/nats/generate. Each
// tries to speak, to listen, to acknowledge and to fill streams in the other's name; then a client
// of 0.1.0 does what it did, on servers that still allow it.

#include <cstdlib>
#include <thread>

#include "schemas/wire/publisher_id.hpp"
#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/slowest_row.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

/// What a request brings, or the server's refusal, or silence.
std::string answer(NatsClient& client, const std::string& subject) {
    try {
        return client.request(subject, kLine);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

/// One more plain message of that id; the PubAck.
std::string publish_as(NatsClient& client, const std::string& app, const std::string& id,
                       const std::string& line) {
    return client.request("homeward.plain.scl." + app, "Nats-Msg-Id: " + id + "\r\n", line);
}

/// As schemas/README.md says, by a client that sends all twice; `id` should have been random.
void emit_as_documented(NatsClient& client, const std::string& app, std::string id,
                        const std::string& line) {
    while (publish_as(client, app, id, line).find("duplicate") != std::string::npos) {
        id = homeward::PublisherId::random().hex();
    }
    CHECK_THAT(publish_as(client, app, id, line), Contains("duplicate"));
}

/// True if the server refuses the subscription.
bool is_deaf_to(NatsClient client, const std::string& subject) {
    client.subscribe(subject);
    try {
        client.next_reply();
    } catch (const std::runtime_error& error) {
        return std::string(error.what()).find("Permissions Violation") != std::string::npos;
    }
    return false;
}

}  // namespace

TEST_CASE("an app can neither publish as another app of its region nor hear what that one hears") {
    Topology topology(TopologyOptions{.regions = {"ams"}, .apps = {"shop", "billing"}});
    for (const std::string& name : topology.names()) {
        const std::string region = name == "hub" ? "scl" : name;
        for (const char* family :
             {"homeward.plain.", "homeward.frame.audit.", "homeward.frame.metric."}) {
            INFO(family << region);
            NatsClient billing = topology.app(name, "billing");
            CHECK_THAT(answer(billing, family + region + ".billing"), Contains("\"seq\""));
            CHECK_THAT(answer(billing, family + region + ".shop"),
                       Contains("Permissions Violation"));
        }
        for (const std::string& subject :
             {std::string("_INBOX.>"), std::string(">"), "_INBOX.homeward." + region + ".>",
              "_INBOX.homeward." + region + ".shop.>", std::string("_INBOX.homeward.consumer.>"),
              "homeward.plain." + region + ".>", "homeward.plain." + region + ".billing",
              std::string("$JS.EVENT.>"), std::string("$JS.>")}) {
            INFO(subject);
            CHECK(is_deaf_to(topology.app(name, "billing"), subject));
        }
    }
}

TEST_CASE("an acknowledgement that one app has sent to another's inbox does not arrive there") {
    Topology topology(TopologyOptions{.regions = {}, .apps = {"shop", "billing"}});
    NatsClient shop = topology.app("hub", "shop");
    NatsClient billing = topology.app("hub", "billing");
    for (int i = 0; i < 20; ++i) {
        billing.send_to("homeward.plain.scl.billing", kLine, shop.inbox());
        billing.publish("homeward.plain.scl.billing", kLine);
    }
    // In order: had a forged one come, it would be first.
    shop.send_to("homeward.plain.scl.shop", kLine, shop.inbox());
    CHECK_THAT(shop.receive(), Contains("\"seq\":41}") || Contains("\"seq\": 41}"));
}

TEST_CASE("an app that floods a stream is refused, and the others of its region are not") {
    Topology topology(TopologyOptions{.regions = {}, .apps = {"shop", "billing"}});
    topology.environment()["HOMEWARD_STREAMS_APP_MESSAGES_MAX"] = "50";
    CHECK_THAT(topology.consumer_command({"streams", "apply"}).output,
               Contains("max_msgs_per_subject 450000 -> 50"));
    CHECK_THAT(topology.consumer_command({"streams", "plan"}).output,
               Contains("all streams and durables are there"));
    NatsClient billing = topology.app("hub", "billing");
    for (int i = 0; i < 50; ++i) billing.publish("homeward.plain.scl.billing", kLine);
    CHECK_THAT(answer(billing, "homeward.plain.scl.billing"),
               Contains("maximum messages per subject exceeded"));
    NatsClient shop = topology.app("hub", "shop");
    for (int i = 0; i < 50; ++i) CHECK_NOTHROW(shop.publish("homeward.plain.scl.shop", kLine));
    // What is committed makes room again; and no limit is what it was.
    topology.start_consumer();
    CHECK(wait_until(20s, [&] {
        return answer(billing, "homeward.plain.scl.billing").find("\"seq\"") != std::string::npos;
    }));
    topology.environment().erase("HOMEWARD_STREAMS_APP_MESSAGES_MAX");
    CHECK_THAT(topology.consumer_command({"streams", "apply"}).output,
               Contains("max_msgs_per_subject 50 -> -1"));
    CHECK_THAT(topology.consumer_command({"streams", "plan"}).output,
               Contains("all streams and durables are there"));
}

TEST_CASE("with its share of the bytes, an app that fills the disk leaves the others theirs") {
    // Method: the largest frames, in streams with room for 8 of each of two apps.
    constexpr int kFrames = 8;
    const std::string frame(1'000'000, 'x');
    Topology topology(TopologyOptions{.regions = {}, .apps = {"shop", "billing"}});
    topology.environment()["HOMEWARD_STREAMS_AUDIT_BYTES_MAX"] =
        std::to_string(2 * kFrames * (1 << 20));
    topology.environment()["HOMEWARD_STREAMS_APP_MESSAGES_MAX"] = std::to_string(kFrames);
    topology.apply_streams();
    NatsClient billing = topology.app("hub", "billing");
    NatsClient shop = topology.app("hub", "shop");
    const auto send = [&](NatsClient& client, const std::string& app) {
        return client.request("homeward.frame.audit.scl." + app, frame);
    };
    for (int i = 0; i < kFrames; ++i) CHECK_THAT(send(billing, "billing"), Contains("\"seq\""));
    CHECK_THAT(send(billing, "billing"), Contains("maximum messages per subject exceeded"));
    for (int i = 0; i < kFrames; ++i) CHECK_THAT(send(shop, "shop"), Contains("\"seq\""));
}

TEST_CASE("an app's rubbish delays no other app, with the limits of a fresh installation") {
    // Method: with its own login, thousands of tiny messages that are no frames, and some that pose
    // as frames of a newer version.
    const int messages = std::getenv("HOMEWARD_FULL") != nullptr ? 12'000 : 3'000;
    Topology topology(TopologyOptions{.regions = {"ams"}, .apps = {"shop", "billing"}});
    topology.start_consumer();
    FramePublisher near(topology.port("ams"), "ams", "shop", topology.secret("app-ams.shop"));
    FramePublisher far(topology.port("hub"), "scl", "shop", topology.secret("app-scl.shop"));
    std::uint64_t seq = 0;
    const auto slowest = [&](FramePublisher& shop, int count) {
        return slowest_row(topology.leader(), count, [&](const std::string& resource) {
            shop.send(shop.frame_of(++seq, {audit_line(resource)}));
        });
    };
    slowest(near, 1);
    slowest(far, 1);
    std::thread rogue([&] {
        NatsClient billing = topology.app("ams", "billing");
        for (int i = 0; i < messages; ++i) {
            billing.publish("homeward.frame.audit.ams.billing", "no frame");
            if (i % 4 == 0) billing.publish("homeward.frame.audit.ams.billing", "HWF1\x03");
        }
    });
    CHECK(slowest(near, 10) < 5s);
    CHECK(slowest(far, 10) < 5s);
    rogue.join();
    CHECK(slowest(near, 5) < 5s);
    CHECK(slowest(far, 5) < 5s);
    CHECK_THAT(topology.consumer_log(),
               Contains("ams/billing is held: ") &&
                   Contains("frames of a newer version of ams/billing are held") &&
                   !Contains("/shop is held"));
    CHECK(topology.leader().number("SELECT count(*) FROM homeward.dead_letter") < 2'000);
}

TEST_CASE("a message id that another app can guess is taken, and a random one loses nothing") {
    Topology topology(TopologyOptions{.regions = {}, .apps = {"shop", "billing"}});
    NatsClient shop = topology.app("hub", "shop");
    NatsClient billing = topology.app("hub", "billing");
    for (const char* guess : {"order-7", "order-8", "order-9"}) {
        CHECK_THAT(publish_as(billing, "billing", guess, audit_line("rogue")), !Contains("dupl"));
    }
    CHECK_THAT(publish_as(shop, "shop", "order-7", audit_line("order:7")), Contains("duplicate"));
    emit_as_documented(shop, "shop", "order-8", audit_line("order:8"));
    emit_as_documented(shop, "shop", homeward::PublisherId::random().hex(), audit_line("order:9"));
    topology.start_consumer();
    const auto rows = [&](const std::string& resource) {
        return topology.leader().number("SELECT count(*) FROM audit_events WHERE resource = '" +
                                        resource + "'");
    };
    CHECK(wait_until(30s, [&] { return rows("order:9") == 1; }));
    CHECK(rows("order:7") == 0);
    CHECK(rows("order:8") == 1);
    CHECK(rows("rogue") == 3);
}

TEST_CASE("with --inbox both a client of 0.1.0 works as before, and cannot delete streams either") {
    Topology topology(
        TopologyOptions{.regions = {"ams"},
                        .inbox = "both",
                        .secrets = R"({"app-ams": "old-of-ams", "app-scl": "old-of-scl"})"});
    for (const std::string& name : topology.names()) {
        const std::string region = name == "hub" ? "scl" : name;
        NatsClient old(topology.port(name), "app", "old-of-" + region, "_INBOX.old");
        CHECK_THAT(answer(old, "homeward.plain." + region + ".shop"), Contains("\"seq\""));
        CHECK_THAT(answer(old, "homeward.plain.other.shop"), Contains("Permissions Violation"));
        NatsClient rogue(topology.port(name), "app", "old-of-" + region, "_INBOX.old");
        rogue.send_to("homeward.plain." + region + ".shop", kLine,
                      "$JS.API.ACCOUNT.PURGE.HOMEWARD");
        static_cast<void>(answer(rogue, "homeward.plain." + region + ".shop"));
        // A new login of a client that does not know of prefixes.
        NatsClient plain(topology.port(name), "app-shop",
                         topology.secret("app-" + region + ".shop"), "_INBOX.plain");
        CHECK_THAT(answer(plain, "homeward.plain." + region + ".shop"), Contains("\"seq\""));
    }
    for (const char* domain : {"hub", "ams"}) {
        const std::string info = topology.as("hub", "consumer", domain)
                                     .request("$JS." + std::string(domain) + ".API.INFO", "");
        CHECK_THAT(info, Contains("\"streams\":3"));
    }
    // Without the flag the shared login is gone.
    Topology strict(TopologyOptions{.regions = {}, .secrets = R"({"app-scl": "old-of-scl"})"});
    NatsClient old(strict.port("hub"), "app", "old-of-scl", "_INBOX.old");
    CHECK_THAT(answer(old, "homeward.plain.scl.shop"), !Contains("\"seq\""));
}
