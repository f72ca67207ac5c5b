// A hub and three leaves as deploy/nats/generate makes them, an app with its publisher in every
// region, and one misfortune after the other: a region is cut off for longer than any window, a
// leaf and the hub are killed, and at last a leaf loses its disk with events on it that it had
// acknowledged. The first three cost nothing; of the last the proof says to the seq what is lost.

#include <homeward/publisher.hpp>

#include <csignal>

#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using homeward::EmitResult;
using homeward::EventClass;

namespace {

constexpr const char* kEvent = R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})";

/// The app of one region, whose events are counted where they are accepted.
class App {
  public:
    App(const Topology& topology, const std::string& name, const std::filesystem::path& spool)
        : publisher_(options(topology, name, spool)) {}

    void emit(int count) {
        for (int i = 0; i < count; ++i) {
            const auto result = publisher_.emit_json("audit", EventClass::audit, kEvent);
            if (result == EmitResult::accepted) ++accepted_;
        }
    }
    std::int64_t accepted() const { return accepted_; }
    /// Until its own region's stream has all of it.
    bool is_stored() { return publisher_.flush(40s).done; }

    /// `spool`: empty for none.
    static homeward::PublisherOptions options(const Topology& topology, const std::string& name,
                                              const std::filesystem::path& spool) {
        auto env = topology.app_env(name);
        homeward::PublisherOptions options;
        options.nats_urls = {env.at("HOMEWARD_NATS_URL")};
        options.nkey_seed_file = env["HOMEWARD_NATS_NKEY_FILE"];
        options.tls_ca_file = env["HOMEWARD_NATS_TLS_CA_FILE"];
        options.region = env.at("HOMEWARD_REGION");
        options.app = env.at("HOMEWARD_APP");
        if (spool.empty()) return options;
        options.spool_dir = spool / name;
        std::filesystem::create_directories(options.spool_dir);
        return options;
    }

  private:
    homeward::Publisher publisher_;
    std::int64_t accepted_ = 0;
};

/// True if a stream takes an event from this app within 3 s.
bool is_let_in(const homeward::PublisherOptions& options) {
    try {
        homeward::Publisher publisher(options);
        return publisher.emit_json("audit", EventClass::audit, kEvent) == EmitResult::accepted &&
               publisher.flush(3s).done;
    } catch (const homeward::SetupError&) {
        return false;  // refused while it was still connecting
    }
}

class Regions {
  public:
    explicit Regions(TopologyOptions options) : topology(std::move(options)) {
        for (const auto& name : topology.names()) {
            apps.emplace(std::piecewise_construct, std::forward_as_tuple(name),
                         std::forward_as_tuple(topology, name, spool_.path()));
        }
    }

    void emit(int count) {
        for (auto& [name, app] : apps) app.emit(count);
    }
    std::int64_t rows(const std::string& name) {
        return topology.leader().number(
            "SELECT count(*) FROM audit_events e JOIN homeward.origin o ON o.id = e.origin"
            " WHERE o.region = '" +
            (name == "hub" ? "scl" : name) + "'");
    }
    bool arrives(const std::string& name) {
        return wait_until(60s, [&] { return rows(name) == apps.at(name).accepted(); });
    }
    bool all_arrive() {
        bool all = true;
        for (auto& [name, app] : apps) all = arrives(name) && all;
        return all;
    }

    Topology topology;
    std::map<std::string, App> apps;

  private:
    TempDir spool_;
};

}  // namespace

TEST_CASE("cut regions and killed servers cost nothing; a lost disk is named to the seq") {
    Regions regions({.regions = {"ams", "syd", "nrt"}});
    Topology& topology = regions.topology;
    topology.start_consumer();
    regions.emit(200);
    INFO(topology.consumer_log());
    REQUIRE(regions.all_arrive());

    // A black hole for longer than the consumer's ack_wait (2 s), than a pull lives (1.5 s) and
    // than a leaf waits before it connects again (1 s): what is on its way is lost, and comes
    // again.
    topology.link("ams").drop();
    for (int i = 0; i < 10; ++i) {
        regions.emit(20);
        sleep_ms(800);
    }
    CHECK(regions.apps.at("ams").is_stored());
    CHECK(regions.arrives("syd"));
    CHECK(regions.rows("ams") < regions.apps.at("ams").accepted());
    topology.link("ams").reset();
    topology.link("ams").resume();
    CHECK(regions.all_arrive());

    topology.kill("syd");
    regions.emit(200);
    CHECK(regions.arrives("nrt"));
    topology.start("syd");
    CHECK(regions.all_arrive());

    topology.kill("hub");
    regions.emit(200);
    for (const char* name : {"ams", "syd", "nrt"}) CHECK(regions.apps.at(name).is_stored());
    topology.start("hub");
    CHECK(regions.all_arrive());
    CHECK(topology.leader().number("SELECT sum(missing) + sum(duplicated) FROM homeward.proof") ==
          0);

    // The leaf has acknowledged these; then its disk is gone before anybody has pulled them.
    const std::int64_t before = regions.apps.at("nrt").accepted();
    topology.link("nrt").refuse(true);
    topology.link("nrt").reset();
    regions.apps.at("nrt").emit(300);
    REQUIRE(regions.apps.at("nrt").is_stored());
    topology.kill("nrt");
    topology.wipe("nrt");
    topology.start("nrt");
    topology.link("nrt").refuse(false);
    topology.apply_streams();
    regions.apps.at("nrt").emit(100);
    CHECK(wait_until(
        60s, [&] { return regions.rows("nrt") == regions.apps.at("nrt").accepted() - 300; }));
    const CommandResult proof = topology.consumer_command({"proof", "--final"});
    INFO(proof.output);
    CHECK(proof.exit_code == 1);
    CHECK_THAT(proof.output, Contains(" missing=300 duplicated=0"));
    CHECK_THAT(proof.output,
               Contains("nrt") && Contains("missing seqs " + std::to_string(before + 1) + "-" +
                                           std::to_string(before + 300)));
}

TEST_CASE("with nkeys and TLS no server knows a secret of an app or of the consumer") {
    Regions regions({.regions = {"ams"}, .auth = "nkey", .tls = true});
    Topology& topology = regions.topology;
    topology.start_consumer();
    regions.emit(100);
    INFO(topology.consumer_log());
    CHECK(regions.all_arrive());
    CHECK_THAT(topology.conf_text("ams"), !Contains("password") && Contains("nkey: U"));
    CHECK_THAT(topology.conf_text("hub"),
               !Contains("user: \"app") && !Contains("user: \"consumer\"") && Contains("nkey: U"));
    // Somebody who trusts the server, as it is, but has no key.
    homeward::PublisherOptions stranger = App::options(topology, "ams", {});
    stranger.nkey_seed_file.clear();
    CHECK_FALSE(is_let_in(stranger));
}

TEST_CASE("who is told tls:// does not talk to a server without it") {
    NatsServer open_server;
    homeward::PublisherOptions options;
    options.nats_urls = {"tls://127.0.0.1:" + std::to_string(open_server.port())};
    options.region = "ams";
    options.app = "shop";
    CHECK_FALSE(is_let_in(options));
    ProcessOptions environment;
    environment.environment = {{"HOMEWARD_NATS_URLS", options.nats_urls[0]},
                               {"HOMEWARD_SOURCES", "ams"}};
    const CommandResult refused =
        run_command({HOMEWARD_CONSUMER_PROGRAM, "streams", "plan"}, environment);
    CHECK(refused.exit_code == 2);
    CHECK_THAT(refused.output, Contains("cannot connect to NATS"));
}

TEST_CASE("one server alone carries everything: the same list, without regions") {
    Regions regions({.regions = {}});
    regions.topology.start_consumer();
    regions.emit(100);
    CHECK(regions.all_arrive());
}

TEST_CASE("three servers hold every event three times, and go on when one of them is killed") {
    Regions regions({.regions = {"ams"}, .servers = {{"ams", 3}}});
    Topology& topology = regions.topology;
    topology.start_consumer();
    regions.emit(200);
    INFO(topology.consumer_log());
    REQUIRE(regions.all_arrive());
    // The app's server stays, and so does a quorum.
    topology.kill("ams-2");
    regions.emit(200);
    CHECK(regions.apps.at("ams").is_stored());
    CHECK(regions.all_arrive());
    topology.start("ams-2");
    regions.emit(200);
    CHECK(regions.all_arrive());
    CHECK(topology.leader().number("SELECT sum(missing) + sum(duplicated) FROM homeward.proof") ==
          0);
}
