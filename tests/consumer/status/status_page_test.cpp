// What a running consumer tells of origins, dead letters, backlog and health, and that it names
// what limits the system. Method for the latter: each limit is made true, and nothing else is.

#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

json status_of(const Bridge& bridge, const std::string& query = "") {
    const std::string answer = bridge.admin("/status.json" + query);
    const std::size_t body = answer.find("\r\n\r\n");
    return body == std::string::npos ? json::object() : json::parse(answer.substr(body + 4));
}

/// Until the page says so; what it says at last.
json wait_for(const Bridge& bridge, const std::function<bool(const json&)>& is_so,
              std::chrono::seconds time = 60s) {
    json status;
    wait_until(time, [&] {
        status = status_of(bridge);
        return !status.empty() && is_so(status);
    });
    return status;
}

/// The sentence, once the limit is `name` and the sentence has `part` in it: there is more than one
/// way to the same limit.
std::string wait_for_limit(const Bridge& bridge, const std::string& name,
                           const std::string& part = "") {
    const auto sentence = [&](json status) -> std::string {
        const std::string text = status["limit"]["sentence"];
        const bool fits = status["limit"]["name"] == name && text.find(part) != std::string::npos;
        return fits ? text : "";
    };
    const json status = wait_for(bridge, [&](const json& now) { return !sentence(now).empty(); });
    UNSCOPED_INFO(status.dump(2));
    return sentence(status);
}

void send_events(FramePublisher& sender, std::uint64_t& seq, int frames, std::uint32_t events) {
    for (int i = 0; i < frames; ++i, seq += events) sender.send(sender.frame(seq, events));
}

}  // namespace

TEST_CASE("the status names origins with their holes, backlog, and dead letters with reasons") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 100));
    sender.send(sender.frame(151, 50));
    NatsClient client(bridge.leaf().port());
    client.publish("homeward.plain.ams.shop", "<b>no JSON</b>");
    const json status = wait_for(bridge, [](const json& now) {
        return now.value("rows", 0) == 150 && now.contains("origins") &&
               now["origins"].size() == 2 && now["dead_letters"].size() == 1 &&
               now["letters_open"] == 1;
    });
    INFO(status.dump(2));
    REQUIRE(status["origins"].size() == 2);
    const json& origin = status["origins"][0];  // holes come first
    CHECK(origin["region"] == "ams");
    CHECK(origin["app"] == "shop");
    CHECK(origin["accepted"] == 200);
    CHECK(origin["settled"] == 150);
    CHECK(origin["holes"] == 50);
    CHECK(origin["hole_ranges"] == "{[101,151)}");
    CHECK(status["origin_states"]["active"] == 2);
    REQUIRE(status["dead_letters"].size() == 1);
    CHECK(status["dead_letters"][0]["count"] == 1);
    CHECK_FALSE(status["dead_letters"][0]["reason"].get<std::string>().empty());
    CHECK(status["health"] == "look");
    CHECK_THAT(status["reasons"][0]["text"].get<std::string>(), Contains("1 dead letter waits"));
    REQUIRE(status["backlog"].size() == 3);
    CHECK(status["backlog"][0]["stream"] == "HOMEWARD_AUDIT_ams");
    CHECK(status["leader_error"].is_null());

    // An origin that has closed whole is complete.
    sender.send(sender.frame(101, 50));
    sender.send(sender.closing_mark(200));
    const json whole = wait_for(
        bridge, [](const json& now) { return now["origin_states"].value("complete", 0) == 1; });
    CHECK(whole["origin_states"]["complete"] == 1);

    // Moments are told once to who asks with their number.
    const json first = wait_for(bridge, [](const json& now) { return now["moments"].size() >= 2; });
    const auto next = first["first"].get<std::size_t>() + first["moments"].size();
    CHECK(status_of(bridge, "?since=" + std::to_string(next))["moments"].size() <= 1);
    double rows = 0;
    const json all = status_of(bridge);
    for (const json& moment : all["moments"]) rows += moment["rows"].get<double>();
    CHECK(rows == 200);
}

TEST_CASE(
    "the sentence names the source, a lock on the leader and who holds it, its CPU, its end") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::uint64_t seq = 1;
    send_events(sender, seq, 1, 100);
    CHECK_THAT(wait_for_limit(bridge, "source"), Contains("no message waits"));

    homeward::consumer::Config::Postgres config;
    {
        homeward::consumer::PgConnection nightly(bridge.leader().url(), config);
        nightly.execute(
            "SET application_name = 'nightly job'; BEGIN;"
            " LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE");
        send_events(sender, seq, 200, 100);
        CHECK_THAT(wait_for_limit(bridge, "leader locks"),
                   Contains("held by session") && Contains("(nightly job)"));
        CHECK(status_of(bridge)["health"] == "look");
    }
    REQUIRE(wait_until(
        60s, [&] { return bridge.metric("homeward_rows_total") == static_cast<double>(seq - 1); }));

    bridge.leader().query(
        "CREATE FUNCTION ponder() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM sum(i) FROM generate_series(1, 4000) AS i; RETURN NEW; END $$");
    bridge.leader().query(
        "CREATE TRIGGER ponder BEFORE INSERT ON audit_events"
        " FOR EACH ROW EXECUTE FUNCTION ponder()");
    send_events(sender, seq, 600, 100);
    CHECK_THAT(wait_for_limit(bridge, "leader CPU"), Contains("sessions work"));

    // One that stands still makes nobody wait who looks at the page.
    bridge.leader().freeze();
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 5; ++i) CHECK_FALSE(status_of(bridge).empty());
    CHECK(std::chrono::steady_clock::now() - began < 5s);
    CHECK_THAT(wait_for_limit(bridge, "leader away"), Contains("does not answer"));
    bridge.leader().thaw();
    CHECK(wait_for_limit(bridge, "leader CPU") != "");

    bridge.leader().stop();
    CHECK_THAT(wait_for_limit(bridge, "leader away"), Contains("cannot be asked"));
    const json away = status_of(bridge);
    CHECK(away["health"] == "act");
    CHECK(away["leader_error"].is_string());
    CHECK_THAT(bridge.admin("/livez"), Contains("200 OK"));
}

TEST_CASE("the sentence names the network where messages wait while writers have time") {
    Bridge bridge;
    // Few at a time, each time a long way: what a region far away looks like with too small a pull.
    TcpProxy far_away(bridge.hub().port());
    bridge.environment()["HOMEWARD_NATS_URLS"] =
        "nats://127.0.0.1:" + std::to_string(far_away.port());
    bridge.environment()["HOMEWARD_PULL_MESSAGES_MAX"] = "16";
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::uint64_t seq = 1;
    send_events(sender, seq, 3'000, 1);
    far_away.delay(150ms);
    bridge.start_consumer();
    CHECK(wait_for_limit(bridge, "network", "messages wait in the streams") != "");
}

TEST_CASE("the sentence names decoding where it takes most of the time") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_WRITERS", "1"}};
    Bridge bridge(options);
    // Events of much white space: long to read, short to write. No two alike, or they would be
    // unpacked in no time.
    std::mt19937 random(7);
    std::string body;
    std::uint32_t events = 0;
    for (; body.size() < homeward::kBodyBytesMax * 3 / 4; ++events) {
        std::string blank;
        for (int i = 0; i < 400; ++i) blank += std::string(random() % 512, " \t"[random() % 2]);
        body += audit_line(std::to_string(events)).insert(1, blank) + "\n";
    }
    homeward::FrameHeader header;
    header.publisher = homeward::PublisherId::random();
    header.seq_count = header.line_count = events;
    homeward::FrameEncoder encoder;
    NatsClient client(bridge.leaf().port());
    for (int i = 0; i < 800; ++i) {
        header.accepted = header.seq_first + events - 1;
        std::vector<std::byte> frame;
        REQUIRE(encoder.encode(header, body, frame));
        client.publish("homeward.frame.audit.ams.shop",
                       {reinterpret_cast<const char*>(frame.data()), frame.size()});
        header.seq_first += events;
    }
    bridge.start_consumer();
    CHECK_THAT(wait_for_limit(bridge, "decode"), Contains("another machine would help"));
    CHECK(bridge.metric("homeward_dead_letters_total") == 0);
}
