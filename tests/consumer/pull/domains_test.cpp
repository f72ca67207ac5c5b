// Streams of several regions: domains, equal names, and regions that are away.

#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "schemas/nats/subject.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

bool has_rows(Bridge& bridge, std::int64_t count) {
    return wait_until(60s, [&] { return rows(bridge.leader()) == count; });
}

bool says(Bridge& bridge, const std::string& text) {
    return wait_until(30s, [&] { return bridge.consumer_log().find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("streams of several domains are consumed by one process, each acknowledged in its own") {
    Bridge bridge;
    bridge.environment()["HOMEWARD_SOURCES"] = "ams@ams,scl@hub";
    CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    bridge.start_consumer();
    NatsClient ams(bridge.leaf().port());
    NatsClient scl(bridge.hub().port());
    for (int i = 0; i < 300; ++i) {
        ams.publish(plain_subject("ams", "web"), kLine);
        if (i % 3 == 0) scl.publish(plain_subject("scl", "web"), kLine);
    }
    CHECK(has_rows(bridge, 400));
    expect_clean(bridge);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events e JOIN homeward.origin o"
                                 " ON o.id = e.origin WHERE o.region = 'scl'") == 100);
    for (const auto& [port, domain, name] :
         {std::tuple(bridge.leaf().port(), "ams", "HOMEWARD_PLAIN_ams"),
          std::tuple(bridge.hub().port(), "hub", "HOMEWARD_PLAIN_scl")}) {
        NatsClient api(port);
        const std::string info = std::string("$JS.") + domain + ".API.STREAM.INFO." + name;
        CHECK(wait_until(30s, [&] {
            return json::parse(api.request(info, "")).at("state").at("messages") == 0;
        }));
    }
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("a stream's name that exists in two domains is refused, by check and at the start") {
    // An ack subject names no domain: an ack for one would delete a message of the other.
    Bridge bridge;
    const std::map<std::string, std::string> usual = bridge.environment();
    bridge.environment()["HOMEWARD_SOURCES"] = "ams@ams,ams@hub";
    for (const char* command : {"check", "run"}) {
        const CommandResult result = bridge.consumer_command({command}, 30s);
        INFO(result.output);
        CHECK(result.exit_code == 2);
        CHECK(result.output.find("stream names must differ between domains") != std::string::npos);
    }
    // Left over from before the region had a leaf of its own.
    bridge.environment()["HOMEWARD_SOURCES"] = "ams@hub";
    CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    bridge.environment() = usual;
    for (const auto& [command, code] : {std::pair("check", 1), std::pair("run", 2)}) {
        const CommandResult result = bridge.consumer_command({command}, 30s);
        INFO(result.output);
        CHECK(result.exit_code == code);
        CHECK(result.output.find("HOMEWARD_AUDIT_ams") != std::string::npos);
        CHECK(result.output.find("also in domain \"hub\"") != std::string::npos);
    }
}

TEST_CASE("a region that is away at the start holds up no other, and is consumed when it comes") {
    Bridge bridge;
    bridge.environment()["HOMEWARD_SOURCES"] = "ams@ams,scl@hub";
    CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    {
        NatsClient ams(bridge.leaf().port());
        for (int i = 0; i < 20; ++i) ams.publish(plain_subject("ams", "web"), kLine);
    }
    bridge.leaf().stop();
    bridge.start_consumer();
    NatsClient scl(bridge.hub().port());
    for (int i = 0; i < 30; ++i) scl.publish(plain_subject("scl", "web"), kLine);
    CHECK(has_rows(bridge, 30));
    const std::string ready = bridge.admin("/readyz");
    CHECK(ready.find(" 200 ") != std::string::npos);
    CHECK(ready.find(" HOMEWARD_AUDIT_ams HOMEWARD_METRIC_ams HOMEWARD_PLAIN_ams") !=
          std::string::npos);
    const std::string up_ams = "homeward_stream_up{stream=\"HOMEWARD_PLAIN_ams\"}";
    CHECK(wait_until(30s, [&] { return bridge.metric(up_ams) == 0; }));
    CHECK(bridge.metric("homeward_stream_up{stream=\"HOMEWARD_PLAIN_scl\"}") == 1);

    bridge.leaf().start();
    CHECK(has_rows(bridge, 50));
    CHECK(wait_until(30s, [&] {
        return bridge.admin("/readyz").find("HOMEWARD_") == std::string::npos &&
               bridge.metric(up_ams) == 1;
    }));
    expect_clean(bridge);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.plain_source"
                                 " WHERE created < '2000-01-01'") == 0);
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("a region that comes later with a stream of a name that another has is not consumed") {
    // Method: the leaf has streams that the hub has as well, and is away while names are compared.
    Bridge bridge;
    for (const char* sources : {"scl@ams", "ams@ams,scl@hub"}) {
        bridge.environment()["HOMEWARD_SOURCES"] = sources;
        CHECK(bridge.consumer_command({"streams", "apply"}).exit_code == 0);
    }
    {
        NatsClient ams(bridge.leaf().port());
        ams.publish(plain_subject("ams", "web"), kLine);
    }
    bridge.leaf().stop();
    bridge.start_consumer();
    bridge.leaf().start();
    CHECK(says(bridge, "HOMEWARD_PLAIN_ams is not consumed: stream HOMEWARD_AUDIT_scl"));
    CHECK(rows(bridge.leader()) == 0);
    CHECK(bridge.admin("/readyz").find("HOMEWARD_PLAIN_ams") != std::string::npos);
    CHECK(bridge.stop_consumer() == 0);
}
