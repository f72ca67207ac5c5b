// Dead letters through the real consumer: what waits, what lands later, and what never doubles.

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "schemas/nats/subject.hpp"
#include "tests/consumer/repair/letters.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// Any client's JSON, one event a message.
class PlainSender {
  public:
    explicit PlainSender(Bridge& bridge) : client_(bridge.leaf().port()) {}
    void send(const std::string& data) { client_.publish(plain_subject("ams", "shop"), data); }

  private:
    NatsClient client_;
};

constexpr const char* kOrderType = R"({
    "title": "order",
    "type": "object",
    "properties": {"number": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["number"],
    "x-homeward": {"class": "audit", "table": "orders", "partition": "day"}
})";

std::string order_line(int number) {
    return R"({"type":"order","number":)" + std::to_string(number) + R"(,"note":"n"})";
}

std::string types_dir(Bridge& bridge) {
    const auto dir = bridge.dir() / "types";
    std::filesystem::create_directories(dir);
    std::ofstream(std::filesystem::path(dir) / "order.json") << kOrderType;
    return dir;
}

}  // namespace

TEST_CASE("events of an unknown type wait, and land once with origin and seq when it arrives") {
    BridgeOptions options = quick();
    options.environment["HOMEWARD_BATCH_BAD_EVENTS_MAX"] = "10";  // they are no flood
    Bridge bridge(options);
    bridge.start_consumer();
    PlainSender sender(bridge);
    for (int i = 1; i <= 500; ++i) sender.send(order_line(i));
    sender.send(audit_line("known"));
    CHECK(settled(bridge).find(" dead=500 ") != std::string::npos);
    CHECK(letters(bridge, "parked") == 500);
    CHECK(bridge.leader().query("SELECT DISTINCT reason, type FROM homeward.dead_letter") ==
          Rows{{"unknown event type", "order"}});
    const Rows waiting = bridge.leader().query(
        "SELECT origin, seq, convert_from(payload, 'UTF8')::json ->> 'number',"
        " message_time FROM homeward.dead_letter ORDER BY seq");

    // The type arrives with a newer consumer; one of the old kind goes on parking meanwhile.
    bridge.environment()["HOMEWARD_SCHEMA_TYPES_DIR"] = types_dir(bridge);
    CHECK(bridge.stop_consumer() == 0);
    bridge.start_consumer();
    CHECK(wait_until(20s, [&] { return letters(bridge, "redriven") == 500; }));
    CHECK(bridge.leader().query("SELECT origin, seq, number, time FROM orders ORDER BY seq") ==
          waiting);
    CHECK(settled(bridge).find(" dead=0 ") != std::string::npos);

    bridge.leader().query(
        "INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload)"
        " SELECT origin, seq, 'parked', type, 'unknown event type', convert_to('" +
        order_line(501) +
        "', 'UTF8') FROM (SELECT origin, 502 AS seq, type"
        " FROM homeward.dead_letter LIMIT 1) AS one");
    CHECK(wait_until(20s, [&] { return letters(bridge, "redriven") == 501; }));
    CHECK(bridge.leader().number("SELECT count(*) FROM orders") == 501);
}

TEST_CASE("a redrive lands each letter once, however often and by however many it is asked for") {
    Bridge bridge;
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("ALTER TABLE audit_events ADD CONSTRAINT no_x CHECK (actor <> 'x')");
    bridge.start_consumer();
    PlainSender sender(bridge);
    for (int i = 0; i < 300; ++i) sender.send(audit_line(i % 3 == 0 ? "x" : "good"));
    CHECK(settled(bridge).find(" committed=200 dead=100 ") != std::string::npos);
    CHECK(bridge.leader().query("SELECT DISTINCT sqlstate, type, state FROM"
                                " homeward.dead_letter") == Rows{{"23514", "audit", "open"}});

    CHECK(bridge.consumer_command({"dead-letters", "redrive"}).exit_code == 2);
    CommandResult tried = bridge.consumer_command({"dead-letters", "redrive", "--all"});
    CHECK(tried.exit_code == 1);
    CHECK(tried.output == "found=100 redriven=0 still_dead=100\n");
    CHECK(bridge.leader().query("SELECT DISTINCT times_seen FROM homeward.dead_letter") ==
          Rows{{"2"}});

    // On a terminal it shows how far it is, elsewhere not.
    const std::string program = HOMEWARD_CONSUMER_PROGRAM;
    ProcessOptions terminal;
    terminal.environment = bridge.environment();
    const CommandResult watched = run_command(
        {"script", "-qec", program + " dead-letters redrive --all", "/dev/null"}, terminal);
    CHECK(watched.output.find("[########################################] 100 of 100") !=
          std::string::npos);
    CHECK(tried.output.find('[') == std::string::npos);

    // The schema is mended; four people redrive at once.
    bridge.leader().query("ALTER TABLE audit_events DROP CONSTRAINT no_x");
    std::vector<std::thread> people;
    std::vector<CommandResult> results(4);
    for (CommandResult& result : results) {
        people.emplace_back([&] {
            result = bridge.consumer_command({"dead-letters", "redrive", "--sqlstate", "23514"});
        });
    }
    for (std::thread& person : people) person.join();
    for (const CommandResult& result : results) {
        INFO(result.output);
        CHECK(result.exit_code == 0);
    }
    CHECK(letters(bridge, "redriven") == 100);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events") == 300);
    CHECK(bridge.leader().number("SELECT count(DISTINCT (origin, seq)) FROM audit_events") == 300);
    CHECK(settled(bridge).find(" committed=300 dead=0 ") != std::string::npos);
    tried = bridge.consumer_command({"dead-letters", "redrive", "--all", "--json"});
    CHECK(tried.output == "{\"found\":0,\"redriven\":0,\"still_dead\":0}\n");
}

TEST_CASE("dead letters are listed and shown by filter, as text and as JSON, and discarded") {
    Bridge bridge;
    bridge.start_consumer();
    PlainSender sender(bridge);
    sender.send("not JSON \x1b[31m");
    sender.send(R"({"type":"audit","actor":"a"})");
    sender.send(order_line(1));
    // A name that ends in the middle of a character where it is cut, and one with NUL.
    sender.send(R"({"type":")" + std::string(127, 'a') + "\xc3\xa4" + R"("})");
    sender.send(R"({"type":"nul\u0000name"})");
    settled(bridge);
    const auto dead_letters = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "dead-letters");
        return bridge.consumer_command(words);
    };
    const auto listed = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {"list", "--json"});
        const CommandResult result = dead_letters(words);
        INFO(result.output);
        REQUIRE(result.exit_code == 0);
        return nlohmann::json::parse(result.output);
    };
    CHECK(listed({}).size() == 5);
    CHECK(listed({"--limit", "2"}).size() == 2);
    CHECK(listed({"--state", "parked"}).size() == 1);
    CHECK(listed({"--state", "open"}).size() == 4);
    CHECK(listed({"--type", "order"}).size() == 1);
    CHECK(listed({"--region", "ams", "--reason", "MISSING"}).size() == 1);
    CHECK(listed({"--region", "scl"}).empty());
    CHECK(listed({"--since", "2000-01-01"}).size() == 5);
    const auto order = listed({"--type", "order"}).at(0);
    // Two writers reserve seqs of plain messages in the order in which they get to it.
    CHECK(order["seq"] >= 1);
    CHECK(order["seq"] <= 5);
    CHECK(order["region"] == "ams");
    CHECK(order["reason"] == "unknown event type");
    CHECK_FALSE(order.contains("payload"));
    const std::string id = std::to_string(order["id"].get<int>());
    CHECK(nlohmann::json::parse(dead_letters({"show", id, "--json"}).output)["payload"] ==
          order_line(1));
    CHECK(dead_letters({"list"}).output.find("5 of 5\n") != std::string::npos);
    CHECK(dead_letters({"show", "1"}).output.find('\x1b') == std::string::npos);
    CHECK(dead_letters({"show", "999"}).exit_code == 1);

    CHECK(dead_letters({"discard", id}).output == "discarded=1 found=1\n");
    CHECK(dead_letters({"discard", id}).output == "discarded=0 found=0\n");
    CHECK(dead_letters({"redrive", id}).output == "found=0 redriven=0 still_dead=0\n");
    CHECK(bridge.leader().query("SELECT state, payload_bytes FROM homeward.dead_letter"
                                " WHERE id = " +
                                id) == Rows{{"discarded", "0"}});
    CHECK(settled(bridge).find(" dead=5 ") != std::string::npos);  // given up is not gone

    for (const auto& words : std::vector<std::vector<std::string>>{{},
                                                                   {"burn"},
                                                                   {"list", "--colour"},
                                                                   {"list", "--state", "lost"},
                                                                   {"discard"},
                                                                   {"show"},
                                                                   {"show", "one"},
                                                                   {"list", "--type"}}) {
        const CommandResult result = dead_letters(words);
        INFO(result.output);
        CHECK(result.exit_code == 2);
        CHECK(result.output.find("--help") != std::string::npos);
    }
    CHECK(dead_letters({"list", "--since", "yesterdayish"}).exit_code == 2);
}

TEST_CASE("a frame with bad events that comes again makes no second letter of them") {
    Bridge bridge(quick());
    bridge.start_consumer();
    NatsClient client(bridge.leaf().port());
    const std::string frame =
        metric_frame({"bad", R"({"type":"metric","name":"m","kind":"gauge","value":1})", "worse"});
    for (int copy = 1; copy <= 3; ++copy) {
        client.publish(frame_subject(EventClass::metric, "ams", "shop"), frame);
        settled(bridge);
    }
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_skipped_events_total") == 6; }));
    CHECK(letters(bridge, "open") == 2);
    CHECK(bridge.leader().query("SELECT seq, times_seen FROM homeward.dead_letter ORDER BY seq") ==
          Rows{{"1", "1"}, {"3", "1"}});
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events") == 1);
}

TEST_CASE("a dead letter keeps its plain message's headers until it is closed") {
    Bridge bridge;
    bridge.start_consumer();
    NatsClient client(bridge.leaf().port());
    const std::string subject = plain_subject("ams", "shop");
    client.publish(subject, "Nats-Msg-Id: order-7\r\nTrace: a\r\nTrace: b \xff\r\n", "no JSON");
    client.publish(subject, "Nats-Msg-Id: order-7\r\n", "no JSON");  // the stream drops it
    client.publish(subject, "Big: " + std::string(40'000, 'x') + "\r\nSmall: 1\r\n", "none");
    client.publish(subject, "nor this");
    const bool are_there = wait_until(30s, [&] { return letters(bridge, "open") == 3; });
    INFO(bridge.consumer_log());
    REQUIRE(are_there);

    const auto show = [&](const std::string& payload) {
        const std::string id = bridge.leader().query(
            "SELECT id FROM homeward.dead_letter WHERE payload = '" + payload + "'")[0][0];
        return bridge.consumer_command({"dead-letters", "show", id}).output;
    };
    const std::string first = show("no JSON");
    INFO(first);
    CHECK(first.find("header         Nats-Msg-Id: order-7\n") != std::string::npos);
    CHECK(first.find("header         Trace: [\"a\",\"b ") != std::string::npos);
    const std::string large = show("none");
    CHECK(large.find("Small: 1") != std::string::npos);
    CHECK(large.find("1 more, left out") != std::string::npos);
    CHECK(large.find("xxx") == std::string::npos);
    CHECK(show("nor this").find("header") == std::string::npos);

    CHECK(bridge.consumer_command({"dead-letters", "discard", "--all"}).exit_code == 0);
    CHECK(bridge.leader().number(
              "SELECT count(*) FROM homeward.dead_letter WHERE headers IS NOT NULL") == 0);
    CHECK(bridge.consumer_log().find("dead letter of ams/shop") != std::string::npos);
}
