// What deploy/nats/generate makes, on real servers: a hub and three leaves. A region is cut off by
// stopping its leaf's process, leaf and hub are killed by SIGKILL while events arrive; then all is
// healed, and every event that a stream took must be a row, once. The guards are tried with the
// logins that an attacker in one region could have.

#include <csignal>

#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::int64_t rows_of(Topology& topology, const std::string& region) {
    return topology.leader().number(
        "SELECT count(*) FROM audit_events e JOIN homeward.origin o ON o.id = e.origin"
        " WHERE o.region = '" +
        region + "'");
}

bool arrives(Topology& topology, const std::string& region, std::int64_t count) {
    return wait_until(40s, [&] { return rows_of(topology, region) == count; });
}

/// What a request brings, or the server's refusal, or silence.
std::string answer(NatsClient client, const std::string& subject) {
    try {
        return client.request(subject, "");
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("a cut region, a killed leaf and a killed hub cost neither an event nor a doubled one") {
    Topology topology({"ams", "syd", "nrt"});
    topology.start_consumer();
    for (const char* name : {"hub", "ams", "syd", "nrt"}) topology.emit(name, 50);
    INFO(topology.consumer_log());
    for (const char* region : {"scl", "ams", "syd", "nrt"}) CHECK(arrives(topology, region, 50));

    // The others go on while one is cut off, and while its leaf is dead.
    topology.server("syd").signal(SIGSTOP);
    topology.kill("nrt");
    topology.emit("ams", 50);
    CHECK(arrives(topology, "ams", 100));
    topology.server("syd").signal(SIGCONT);
    topology.start("nrt");
    topology.emit("syd", 50);
    topology.emit("nrt", 50);
    CHECK(arrives(topology, "syd", 100));
    CHECK(arrives(topology, "nrt", 100));

    // Without a hub every region still takes what its apps emit.
    topology.kill("hub");
    for (const char* name : {"ams", "syd", "nrt"}) topology.emit(name, 50);
    CHECK(rows_of(topology, "ams") == 100);
    topology.start("hub");
    for (const char* region : {"ams", "syd", "nrt"}) CHECK(arrives(topology, region, 150));
    CHECK(rows_of(topology, "scl") == 50);
    CHECK(topology.leader().number("SELECT sum(missing) + sum(duplicated) FROM homeward.proof") ==
          0);
}

TEST_CASE("an app can publish only as its own region, and has no say in any stream") {
    Topology topology({"ams", "syd"});
    for (const char* subject :
         {"homeward.plain.syd.shop", "homeward.frame.audit.syd.shop", "homeward.frame.audit.scl.x",
          "$JS.API.STREAM.PURGE.HOMEWARD_AUDIT_ams", "$JS.syd.API.STREAM.INFO.HOMEWARD_AUDIT_syd",
          "$JS.hub.API.STREAM.LIST", "$JS.ACK.HOMEWARD_PLAIN_syd.homeward_plain_syd.1.1.1.1.0"}) {
        INFO(subject);
        CHECK_THAT(answer(topology.app("ams"), subject), Contains("Permissions Violation"));
    }
    CHECK_THAT(
        answer(topology.as("hub", "consumer"), "$JS.ams.API.STREAM.PURGE.HOMEWARD_AUDIT_ams"),
        Contains("Permissions Violation"));
    CHECK_THAT(answer(topology.as("hub", "consumer"), "homeward.plain.scl.shop"),
               Contains("Permissions Violation"));
}

TEST_CASE("a stolen leaf login reaches neither another region's streams nor their acks") {
    Topology topology({"ams", "syd"});
    topology.emit("syd", 3);
    const int rogue = topology.start_rogue("ams");
    const std::string of_syd = "$JS.syd.API.STREAM.";
    for (const std::string& subject :
         {of_syd + "INFO.HOMEWARD_PLAIN_syd", of_syd + "PURGE.HOMEWARD_PLAIN_syd",
          of_syd + "DELETE.HOMEWARD_PLAIN_syd",
          std::string("$JS.ACK.HOMEWARD_PLAIN_syd.homeward_plain_syd.1.1.1.1.0")}) {
        INFO(subject);
        CHECK_THAT(answer(NatsClient(rogue), subject),
                   !Contains("HOMEWARD_PLAIN_syd") && !Contains("success"));
    }
    // The same question by one who may ask it: the guard is what kept the other from an answer.
    CHECK_THAT(answer(topology.as("hub", "consumer", "syd"), of_syd + "INFO.HOMEWARD_PLAIN_syd"),
               Contains("\"messages\":3"));

    // Nor can it slip the consumer messages as if they came from another region's stream.
    NatsClient of_ams = topology.as("hub", "consumer", "ams");
    NatsClient not_his = topology.as("hub", "consumer", "syd");
    NatsClient thief(rogue);
    const auto slips_into = [&](NatsClient& client) {
        // The leaf learns of a new subscription in its own time.
        for (int i = 0; i < 10; ++i) {
            thief.send_to(client.inbox(), "forged");
            sleep_ms(100);
        }
        try {
            return client.receive() == "forged";
        } catch (const std::runtime_error&) {
            return false;
        }
    };
    CHECK(slips_into(of_ams));
    CHECK_FALSE(slips_into(not_his));
}

TEST_CASE("streams plan shows what differs, apply changes it, and neither touches what is right") {
    Topology topology(std::vector<std::string>{});
    const CommandResult nothing = topology.consumer_command({"streams", "plan"});
    CHECK_THAT(nothing.output, Contains("all streams and durables are there"));
    topology.emit("hub", 3);
    topology.environment()["HOMEWARD_STREAMS_METRIC_BYTES_MAX"] = "1000000";
    topology.environment()["HOMEWARD_PULL_ACK_WAIT_MS"] = "5000";
    const std::string metric = "change stream HOMEWARD_METRIC_scl: max_bytes 268435456 -> 1000000";
    const std::string durable =
        "change durable homeward_audit_scl: ack_wait 2000000000 -> 5000000000";
    const CommandResult planned = topology.consumer_command({"streams", "plan"});
    CHECK_THAT(planned.output, Contains(metric) && Contains(durable));
    CHECK_THAT(topology.consumer_command({"check"}).output,
               Contains("4 changes of streams or durables are due"));
    const CommandResult applied = topology.consumer_command({"streams", "apply"});
    CHECK(applied.output == planned.output);
    CHECK(topology.consumer_command({"streams", "plan"}).output == nothing.output);

    // Metrics until their stream is full; audit still has its disk, and what was there is there.
    NatsClient app = topology.app("hub");
    const std::string frame(100'000, 'x');
    std::string refusal;
    for (int i = 0; i < 20 && refusal.empty(); ++i) {
        const std::string said = app.request("homeward.frame.metric.scl.shop", frame);
        if (said.find("error") != std::string::npos) refusal = said;
    }
    CHECK_THAT(refusal, Contains("maximum bytes exceeded"));
    CHECK_NOTHROW(app.publish("homeward.frame.audit.scl.shop", frame));
    topology.start_consumer();
    CHECK(arrives(topology, "scl", 3));

    // What would need the stream to be made anew is said, and not done.
    topology.as("hub", "consumer")
        .request("$JS.API.STREAM.CREATE.HOMEWARD_AUDIT_old",
                 R"({"name":"HOMEWARD_AUDIT_old","subjects":["homeward.frame.audit.old.>"],)"
                 R"("retention":"limits","storage":"file","num_replicas":1})");
    topology.environment()["HOMEWARD_SOURCES"] = "old@hub";
    const CommandResult refused = topology.consumer_command({"streams", "apply"});
    CHECK_THAT(refused.output, Contains("HOMEWARD_AUDIT_old keeps a history, other than"));
}

TEST_CASE("a limit that is lowered below what waits stays, and nothing is deleted") {
    Topology topology(std::vector<std::string>{});
    topology.emit("hub", 40);
    topology.environment()["HOMEWARD_STREAMS_APP_MESSAGES_MAX"] = "50";
    topology.environment()["HOMEWARD_STREAMS_PLAIN_BYTES_MAX"] = "1000";
    const std::string number = "stream HOMEWARD_PLAIN_scl keeps max_msgs_per_subject -1";
    const std::string bytes = "stream HOMEWARD_PLAIN_scl keeps max_bytes 268435456";
    CHECK_THAT(topology.consumer_command({"streams", "apply"}).output,
               Contains(number) && Contains(bytes) &&
                   Contains("change stream HOMEWARD_AUDIT_scl: discard_new_per_subject"));
    // Some servers delete at their next start.
    topology.kill("hub");
    topology.start("hub");
    CHECK_THAT(topology.as("hub", "consumer").request("$JS.API.STREAM.INFO.HOMEWARD_PLAIN_scl", ""),
               Contains("\"messages\":40"));
    topology.start_consumer();
    CHECK(arrives(topology, "scl", 40));
    CHECK(wait_until(10s, [&] {
        const std::string output = topology.consumer_command({"streams", "apply"}).output;
        return output.find("max_msgs_per_subject -1 -> 50") != std::string::npos &&
               output.find("max_bytes 268435456 -> 1000") != std::string::npos;
    }));
    CHECK_THAT(topology.consumer_command({"streams", "plan"}).output,
               Contains("all streams and durables are there"));
}

TEST_CASE("adding a region keeps every password, and a bad list of regions says what is wrong") {
    TempDir dir;
    const auto generate = [&](const std::string& list) {
        run_command({"sh", "-c", "printf '%b' \"$0\" >\"$1\"", list, dir / "r.toml"});
        return run_command({HOMEWARD_NATS_GENERATE, dir / "r.toml", dir / "out"});
    };
    const std::string hub =
        "apps=[\"shop\"]\n[hub]\nregion=\"scl\"\ndomain=\"hub\"\nleaf_listen=\"[::]:7422\"\nleaf_"
        "hosts=[\"h:7422\"]"
        "\n";
    REQUIRE(generate("regions=[\"ams\"]\n" + hub).exit_code == 0);
    const std::string before = read_file(dir / "out/ams/nats.conf");
    REQUIRE(generate("regions=[\"ams\",\"syd\"]\n" + hub).exit_code == 0);
    CHECK(read_file(dir / "out/ams/nats.conf") == before);
    CHECK(run_command({"stat", "-c", "%a", dir / "out/secrets.json"}).output == "600\n");

    // A new login for one, and for nobody else.
    const std::string syd = read_file(dir / "out/syd/nats.conf");
    REQUIRE(run_command(
                {HOMEWARD_NATS_GENERATE, "--renew", "app-ams.shop", dir / "r.toml", dir / "out"})
                .exit_code == 0);
    CHECK(read_file(dir / "out/ams/nats.conf") != before);
    CHECK(read_file(dir / "out/syd/nats.conf") == syd);
    CHECK_THAT(
        run_command({HOMEWARD_NATS_GENERATE, "--renew", "app-old", dir / "r.toml", dir / "out"})
            .output,
        Contains(
            "has no login 'app-old'; it has: app-ams.shop, app-scl.shop, app-syd.shop, consumer"));

    // One app shares with nobody; of several each has its part, unless the list says otherwise.
    const std::string limit = "HOMEWARD_STREAMS_APP_MESSAGES_MAX=";
    CHECK_THAT(read_file(dir / "out/consumer.env"), !Contains(limit));
    const std::string apps = "[region.ams]\napps=[\"a\",\"b\",\"c\"]\n";
    REQUIRE(generate("regions=[\"ams\"]\n" + hub + apps).exit_code == 0);
    CHECK_THAT(read_file(dir / "out/consumer.env"), Contains(limit + "300000\n"));
    REQUIRE(generate("regions=[\"ams\"]\napp_messages_max=0\n" + hub + apps).exit_code == 0);
    CHECK_THAT(read_file(dir / "out/consumer.env"), !Contains(limit));
    CHECK_THAT(generate("regions=[\"ams\"]\napp_messages_max=-1\n" + hub).output,
               Contains("app_messages_max is negative"));

    const std::string three = "servers=[\"a:6222\",\"b:6222\",\"c:6222\"]\n";
    REQUIRE(generate("regions=[\"ams\"]\n" + hub + three).exit_code == 0);
    for (const char* file : {"hub/nats-1.conf", "hub/nats-2.conf", "hub/nats-3.conf"}) {
        CHECK(run_command({"nats-server", "-t", "-c", dir / ("out/" + std::string(file))})
                  .exit_code == 0);
    }
    CHECK_THAT(generate("regions=[\"AMS\"]\n" + hub).output, Contains("'AMS' is not a valid name"));
    CHECK_THAT(generate("regions=[\"ams\",\"ams\"]\n" + hub).output, Contains("once"));
    CHECK_THAT(
        generate("regions=[]\napps=[\"shop\",\"shop\"]\n" + hub.substr(hub.find('\n') + 1)).output,
        Contains("every app that publishes here, once"));
    CHECK_THAT(generate("regions=[]\napps=[\"shop\"]\n[hub]\n").output,
               Contains("region is missing"));
    CHECK_THAT(generate("regions=[]\n" + hub + "prot=1\n").output, Contains("unknown key 'prot'"));
    CHECK_THAT(generate("regions=[]\n" + hub + "servers=[\"a:1\",\"b:1\"]\n").output,
               Contains("a quorum wants 3"));
}
