// A source of bad events is held, and keeps nobody else's events waiting.

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/nats/subject.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/nats_client.hpp"
#include "tests/support/slowest_row.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// Of so many good plain events of this app.
std::chrono::milliseconds slowest(Bridge& bridge, NatsClient& client, const std::string& region,
                                  int count) {
    return slowest_row(bridge.leader(), count, [&](const std::string& resource) {
        client.publish(plain_subject(region, "shop"), audit_line(resource));
    });
}

bool is_full_run() {
    return std::getenv("HOMEWARD_FULL") != nullptr;
}

/// Messages of an app that is held from the second on, in a consumer that has at most so many
/// messages in hand: two bad events each, or frames of a version to come.
class HeldFlood {
  public:
    explicit HeldFlood(std::size_t messages_max, StreamKind kind = StreamKind::plain)
        : kind_(kind),
          durable_(stream_name(kind, "ams") + "." + durable_name(kind, "ams")),
          bridge_(options(messages_max)),
          client_(bridge_.leaf().port()) {
        bridge_.start_consumer();
    }
    void send(std::uint64_t messages) {
        const std::string event = R"({"type":"audit","actor":7})";
        const bool is_plain = kind_ == StreamKind::plain;
        const std::string subject = is_plain ? plain_subject("ams", "stale")
                                             : frame_subject(EventClass::audit, "ams", "stale");
        const std::string message = is_plain ? event + "\n" + event : "HWF1\x03";
        for (std::uint64_t i = 0; i < messages; ++i) client_.publish(subject, message);
    }
    /// Messages that the durable has delivered and not seen acknowledged.
    std::uint64_t pending() { return info().at("num_ack_pending").get<std::uint64_t>(); }
    /// Of the durable: max_ack_pending.
    void set_room(std::uint64_t room) {
        auto config = info().at("config");
        config["max_ack_pending"] = room;
        const nlohmann::json request{{"stream_name", stream_name(kind_, "ams")},
                                     {"config", config}};
        const std::string lowered =
            client_.request("$JS.API.CONSUMER.DURABLE.CREATE." + durable_, request.dump());
        REQUIRE_THAT(lowered, Contains("\"max_ack_pending\":" + std::to_string(room)));
    }
    /// Starts the consumer again with these settings besides.
    void restart(const std::map<std::string, std::string>& settings) {
        for (const auto& [name, value] : settings) bridge_.environment()[name] = value;
        bridge_.stop_consumer();
        bridge_.start_consumer();
    }
    double held(const std::string& kind) const {
        return bridge_.metric("homeward_held{kind=\"" + kind + "\",name=\"ams/stale\"}");
    }
    Bridge& bridge() { return bridge_; }
    NatsClient& client() { return client_; }

  private:
    static BridgeOptions options(std::size_t messages_max) {
        BridgeOptions options;
        // Without a delay, so that few in hand wait only for their transactions.
        options.environment = {{"HOMEWARD_BATCH_BAD_EVENTS_MAX", "1"},
                               {"HOMEWARD_BATCH_DELAY_MS", "0"},
                               {"HOMEWARD_PULL_MESSAGES_MAX", std::to_string(messages_max)},
                               {"HOMEWARD_DEAD_LETTERS_SOURCE_LETTERS_MAX", "10"}};
        return options;
    }
    nlohmann::json info() {
        return nlohmann::json::parse(client_.request("$JS.API.CONSUMER.INFO." + durable_, ""));
    }

    const StreamKind kind_;
    const std::string durable_;  // behind its stream
    Bridge bridge_;
    NatsClient client_;
};

}  // namespace

TEST_CASE("more held messages than a durable has room for keep nobody else's waiting") {
    // Method: a durable with little room, and more than twice as many messages that are held.
    const std::uint64_t room = is_full_run() ? 25'000 : 400;
    HeldFlood flood(8'192);
    flood.set_room(room);
    slowest(flood.bridge(), flood.client(), "ams", 1);
    flood.send(room * 5 / 2);
    CHECK(wait_until(120s, [&] { return flood.pending() > room * 2; }));
    CHECK(slowest(flood.bridge(), flood.client(), "ams", 10) < 5s);
    CHECK(flood.pending() > room * 2);
    CHECK_THAT(flood.bridge().consumer_log(), Contains("max_ack_pending of its durable raised"));
    CHECK(dead_letters(flood.bridge().leader()) < 10 + 2 * 2 * 64);
}

TEST_CASE("frames of a newer version hold up no other app, and are dead letters once one says so") {
    // Method: five bytes pose as such a frame, more than twice as many as the durable has room for.
    // They might be real, so they wait, until the operator declares this app's false: first with
    // the room of any source's bad events, then with more.
    const std::uint64_t room = is_full_run() ? 48'000 : 1'200;
    const std::uint64_t frames = room * 5 / 2;
    HeldFlood flood(8'192, StreamKind::audit);
    Bridge& bridge = flood.bridge();
    flood.set_room(room);
    FramePublisher shop(bridge.leaf().port(), "ams", "shop");
    std::uint64_t seq = 0;
    const auto slowest_frame = [&](int count) {
        return slowest_row(bridge.leader(), count, [&](const std::string& resource) {
            shop.send(shop.frame_of(++seq, {audit_line(resource)}));
        });
    };
    slowest_frame(1);
    flood.send(frames);
    CHECK(wait_until(120s, [&] { return flood.pending() > room * 2; }));
    CHECK(slowest_frame(10) < 5s);
    CHECK_THAT(bridge.consumer_log(), Contains("max_ack_pending of its durable raised") &&
                                          Contains("frames of a newer version of ams/stale"));
    CHECK_THAT(bridge.admin("/status.json"),
               Contains("Frames of a newer version of ams/stale are held since"));
    CHECK(flood.held("newer_frames") == 1);
    CHECK(dead_letters(bridge.leader()) == 0);

    flood.restart({{"HOMEWARD_DEAD_LETTERS_NEWER_FRAMES_OF", "ams/stale"}});
    CHECK(wait_until(120s, [&] { return flood.held("source") == 1; }));
    CHECK(slowest_frame(10) < 5s);
    CHECK(dead_letters(bridge.leader()) < 10 + 2 * 2 * 64);

    flood.restart({{"HOMEWARD_BATCH_BAD_EVENTS_MAX", "1000000"}});
    CHECK(wait_until(15min, [&] {
        return flood.pending() == 0 &&
               dead_letters(bridge.leader()) == static_cast<std::int64_t>(frames);
    }));
    CHECK(slowest_frame(10) < 5s);
    CHECK(flood.held("newer_frames") == -1);
    const CommandResult listed = bridge.consumer_command(
        {"dead-letters", "list", "--app", "stale", "--reason", "newer version", "--limit", "1"});
    CHECK_THAT(listed.output,
               Contains("a frame of a newer version (dead_letters.newer_frames_of)"));
    const CommandResult discarded = bridge.consumer_command(
        {"dead-letters", "discard", "--app", "stale", "--reason", "newer version"});
    CHECK_THAT(discarded.output, Contains("discarded=" + std::to_string(frames)));
    expect_clean(bridge);
}

TEST_CASE("held messages that come again take no more than a part of what a consumer can do") {
    // Method: a stream delivers them again before anything new, and this consumer can take only few
    // at a time. A good event is behind all of them, and others come later.
    const std::uint64_t messages = is_full_run() ? 62'500 : 3'000;
    HeldFlood flood(is_full_run() ? 64 : 2);
    slowest(flood.bridge(), flood.client(), "ams", 1);
    flood.send(messages);
    flood.client().publish(plain_subject("ams", "shop"), audit_line("behind"));
    CHECK(wait_until(10min, [&] {
        return flood.bridge().leader().number(
                   "SELECT count(*) FROM audit_events WHERE resource = 'behind'") == 1;
    }));
    CHECK(flood.pending() > messages - 100);
    CHECK(slowest(flood.bridge(), flood.client(), "ams", is_full_run() ? 100 : 10) < 5s);
}

TEST_CASE("thousands of tiny bad frames of one app hold up neither its region nor another") {
    const int frames = is_full_run() ? 12'000 : 2'000;
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SOURCES", "ams@ams,scl@hub"},
                           {"HOMEWARD_DEAD_LETTERS_SOURCE_LETTERS_MAX", "100"}};
    Bridge bridge(options);
    bridge.start_consumer();
    NatsClient ams(bridge.leaf().port());
    NatsClient scl(bridge.hub().port());
    slowest(bridge, ams, "ams", 1);
    slowest(bridge, scl, "scl", 1);
    std::thread rogue([&] {
        FramePublisher sender(bridge.leaf().port(), "ams", "rogue");
        for (int i = 1; i <= frames; ++i) {
            sender.send(sender.frame_of(static_cast<std::uint64_t>(i), {R"({"type":"audit"})"}));
        }
    });
    const auto of_region = slowest(bridge, ams, "ams", 10);
    const auto of_other = slowest(bridge, scl, "scl", 10);
    rogue.join();
    INFO(of_region.count() << " ms and " << of_other.count() << " ms");
    CHECK(of_region < 5s);
    CHECK(of_other < 5s);
    CHECK(slowest(bridge, ams, "ams", 5) < 5s);
    CHECK(slowest(bridge, scl, "scl", 5) < 5s);
    CHECK(bridge.metric("homeward_paused") == 0);
}
