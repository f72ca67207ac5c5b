// Method: two apps in two regions, with the logins of deploy/nats/generate. Each tries to call,
// answer and listen in the other's name; then a leaf whose login was stolen does.

#include <homeward/forward/client.hpp>
#include <homeward/forward/server.hpp>

#include <atomic>

#include "publisher/forward/call_channel.hpp"
#include "publisher/forward/call_wire.hpp"
#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// Region and app as they claim to be, with the login of `as_region` and `as_app`.
PublisherOptions connection(const Topology& topology, const std::string& name,
                            const std::string& app, const std::string& region) {
    PublisherOptions options;
    const std::string own_region = name == "hub" ? "scl" : name;
    options.nats_urls = {"nats://app-" + app + ":" +
                         topology.secret("app-" + own_region + "." + app) +
                         "@127.0.0.1:" + std::to_string(topology.port(name))};
    options.region = region;
    options.app = app;
    options.on_log = [](std::string_view) {};
    return options;
}

forward::Client client(const Topology& topology, const std::string& name, const std::string& app,
                       const std::string& region) {
    return forward::Client({.connection = connection(topology, name, app, region)});
}

std::string seen_by(pqxx::work&, const forward::Call& call) {
    return std::string(call.app) + " from " + std::string(call.region);
}

/// The server's answer to a publication that it must refuse.
std::string refusal(NatsClient attacker, const std::string& subject) {
    attacker.send_to(subject, "x");
    try {
        attacker.request("homeward.nowhere", "");
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "";
}

bool is_deaf_to(NatsClient attacker, const std::string& subject) {
    attacker.subscribe(subject);
    try {
        attacker.next_reply();
    } catch (const std::runtime_error& error) {
        return std::string(error.what()).find("Permissions Violation") != std::string::npos;
    }
    return false;
}

/// Two apps served beside the leader, as deploy/nats/generate lets them.
class TwoApps {
  public:
    TwoApps() : topology(TopologyOptions{.regions = {"ams", "syd"}, .apps = {"shop", "billing"}}) {
        const CommandResult applied = topology.consumer_command({"schema", "apply"});
        if (applied.exit_code != 0) throw std::runtime_error(applied.output);
        for (const char* app : {"shop", "billing"}) {
            servers.push_back(std::make_unique<forward::Server>(
                forward::ServerOptions{.connection = connection(topology, "hub", app, "scl"),
                                       .database_url = topology.leader().url()}));
            servers.back()->on("who", &seen_by);
            servers.back()->start();
            for (const char* region : {"ams", "syd"}) {
                forward::Client caller = client(topology, region, app, region);
                wait_until(20s, [&] {
                    return caller.outcome("k").outcome != forward::Outcome::no_responders;
                });
            }
        }
    }
    Topology topology;
    std::vector<std::unique_ptr<forward::Server>> servers;
};

}  // namespace

TEST_CASE("an app calls its own operations from each region, and the server knows from which") {
    TwoApps apps;
    for (const char* name : {"ams", "syd", "hub"}) {
        const std::string region = name == std::string("hub") ? "scl" : name;
        for (const char* app : {"shop", "billing"}) {
            forward::Client caller = client(apps.topology, name, app, region);
            const forward::Reply reply = caller.call("who", "", {.key = "same-key-" + region});
            INFO(name << " " << app << ": " << name_of(reply.outcome) << " " << reply.body);
            REQUIRE(reply);
            CHECK(reply.body == std::string(app) + " from " + region);
            // The other app has used this key, too.
            CHECK_FALSE(reply.was_stored);
        }
    }
}

TEST_CASE("a forged region, another app's operation and another app's key are refused") {
    TwoApps apps;
    forward::Client shop = client(apps.topology, "ams", "shop", "ams");
    REQUIRE(shop.call("who", "", {.key = "secret-1"}));
    // With the login of ams, as if from syd: the message does not leave.
    PublisherOptions forged = connection(apps.topology, "ams", "shop", "syd");
    forged.inbox_prefix = "_INBOX.homeward.ams.shop";
    forward::Client liar({.connection = forged});
    const forward::Reply lie = liar.call("who", "");
    CHECK(lie.outcome == forward::Outcome::refused);
    CHECK_THAT(lie.body, Contains("may not publish to homeward.call.syd.shop.who"));
    // With the login of billing, as if shop's.
    PublisherOptions other = connection(apps.topology, "ams", "billing", "ams");
    other.app = "shop";
    other.inbox_prefix = "_INBOX.homeward.ams.billing";
    forward::Client thief({.connection = other});
    CHECK(thief.call("who", "").outcome == forward::Outcome::refused);
    CHECK(thief.outcome("secret-1").outcome == forward::Outcome::refused);
    CHECK(thief.abandon("secret-2").outcome == forward::Outcome::refused);
    // Its own app has no such key.
    forward::Client billing = client(apps.topology, "ams", "billing", "ams");
    CHECK(billing.outcome("secret-1").outcome == forward::Outcome::not_found);
    CHECK(billing.abandon("secret-1").outcome == forward::Outcome::abandoned);
    CHECK(shop.outcome("secret-1").body == "shop from ams");
    CHECK(apps.topology.leader().number("SELECT count(*) FROM homeward.forwarded_call"
                                        " WHERE region = 'syd'") == 0);
    for (const char* subject :
         {"homeward.call.syd.billing.who", "homeward.call.ams.shop.who",
          "homeward.call.ams.shop._outcome", "homeward.call.scl.billing.who"}) {
        INFO(subject);
        CHECK_THAT(refusal(apps.topology.app("ams", "billing"), subject),
                   Contains("Permissions Violation for Publish to \"" + std::string(subject)));
    }
}

TEST_CASE("a caller gets its answer in its own inbox, and has the server speak nowhere else") {
    TwoApps apps;
    PublisherOptions victim = connection(apps.topology, "syd", "shop", "syd");
    std::atomic<int> heard{0};
    forward::CallChannel syd(
        victim, victim.nats_urls[0], false, forward::kReplyHeader,
        {[&](const forward::Received&) { ++heard; }, nullptr, [](std::string_view) {}, [] {}});
    syd.subscribe("_INBOX.homeward.syd.shop.>", "");
    REQUIRE(syd.flush(5s));
    const PublisherOptions own = connection(apps.topology, "ams", "shop", "ams");
    forward::CallChannel attacker(
        own, own.nats_urls[0], false, forward::kReplyHeader,
        {[](const forward::Received&) {}, nullptr, [](std::string_view) {}, [] {}});
    int sent = 0;
    for (const char* reply :
         {"_INBOX.homeward.syd.shop.x", "_INBOX.homeward.ams.billing.x", "_INBOX.homeward.ams.shop",
          "_INBOX.homeward.consumer.ams.x", "homeward.plain.scl.shop",
          "homeward.frame.audit.scl.shop", "homeward.call.scl.shop.who",
          "homeward.call.syd.shop.who", "$JS.API.STREAM.PURGE.HOMEWARD_PLAIN_scl"}) {
        const std::string header =
            forward::write_call_header({"elsewhere-" + std::to_string(++sent), {}, 5s});
        attacker.publish(
            {forward::call_subject("ams", "shop", "who"), reply, forward::kCallHeader, header, ""});
    }
    REQUIRE(attacker.flush(5s));
    // In order: what comes behind them is answered after them, by the same server.
    forward::Client shop = client(apps.topology, "ams", "shop", "ams");
    for (int i = 0; i < 5; ++i) REQUIRE(shop.call("who", ""));
    sleep_ms(300);
    CHECK(apps.topology.leader().number("SELECT count(*) FROM homeward.forwarded_call") == 5);
    CHECK(heard == 0);
    const std::string info = apps.topology.as("hub", "consumer")
                                 .request("$JS.hub.API.STREAM.INFO.HOMEWARD_PLAIN_scl", "");
    CHECK_THAT(info, Contains("\"messages\":0"));
}

TEST_CASE("an app answers calls only beside the leader, and only those that came to it") {
    TwoApps apps;
    for (const char* subject : {"homeward.call.*.shop.who", "homeward.call.ams.shop.who",
                                "homeward.call.ams.billing.who", "homeward.call.>"}) {
        INFO(subject);
        CHECK(is_deaf_to(apps.topology.app("ams", "shop"), subject));
    }
    CHECK(is_deaf_to(apps.topology.app("hub", "billing"), "homeward.call.*.shop.who"));
    CHECK(is_deaf_to(apps.topology.app("hub", "shop"), "_INBOX.homeward.ams.shop.>"));
    CHECK_THAT(refusal(apps.topology.app("hub", "shop"), "_INBOX.homeward.ams.shop.x.1-0"),
               Contains("Permissions Violation for Publish"));
}

TEST_CASE("a stolen leaf login hears no other region's answers and calls in no other's name") {
    TwoApps apps;
    PublisherOptions rogue;
    rogue.nats_urls = {"nats://127.0.0.1:" + std::to_string(apps.topology.start_rogue("syd"))};
    std::atomic<int> heard{0};
    forward::CallChannel channel(
        rogue, rogue.nats_urls[0], false, forward::kReplyHeader,
        {[&](const forward::Received&) { ++heard; }, nullptr, [](std::string_view) {}, [] {}});
    channel.subscribe("_INBOX.homeward.ams.>", "");
    channel.subscribe("homeward.call.ams.shop.>", "");
    REQUIRE(channel.flush(5s));
    sleep_ms(300);
    forward::Client shop = client(apps.topology, "ams", "shop", "ams");
    for (int i = 0; i < 20; ++i) REQUIRE(shop.call("who", ""));
    const std::string inbox = "_INBOX.homeward.syd.shop.x";
    const std::string header = forward::write_call_header({"forged", {}, 5s});
    const auto send = [&](const std::string& subject) {
        channel.publish({subject, inbox, forward::kCallHeader, header, ""});
    };
    for (const char* region : {"ams", "scl"}) {
        send(forward::call_subject(region, "shop", "who"));
        send(forward::call_subject(region, "shop", forward::kAbandonOperation));
    }
    // What it sends itself it hears, so it would have heard the rest.
    CHECK(wait_until(10s, [&] { return heard == 2; }));
    CHECK(shop.call("who", ""));
    CHECK(heard == 2);
    CHECK(apps.topology.leader().number("SELECT count(*) FROM homeward.forwarded_call") == 21);
    // In its own region's name it may.
    send(forward::call_subject("syd", "shop", "who"));
    CHECK(wait_until(10s, [&] {
        return apps.topology.leader().number(
                   "SELECT count(*) FROM homeward.forwarded_call"
                   " WHERE key = 'forged' AND region = 'syd'") == 1;
    }));
}
