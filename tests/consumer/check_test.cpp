// homeward-consumer check and run against servers that are wrong, each in its own way: the answer
// names what is wrong and what to do.

#include <fstream>
#include <sstream>

#include "consumer/leader.hpp"
#include "tests/support/bridge.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    return text.replace(text.find(what), what.size(), by);
}

class Checks {
  public:
    explicit Checks(Bridge& bridge) : bridge_(bridge) {}

    /// What check says when this variable is different.
    std::string with(const std::string& name, const std::string& value) {
        return command("check", name, value, 1);
    }
    /// What run says before it gives up.
    std::string run_with(const std::string& name, const std::string& value) {
        return command("run", name, value, 2);
    }

  private:
    std::string command(const std::string& word, const std::string& name, const std::string& value,
                        int exit_code) {
        const auto before = bridge_.environment();
        bridge_.environment()[name] = value;
        const CommandResult result = bridge_.consumer_command({word}, 20s);
        bridge_.environment() = before;
        INFO(result.output);
        CHECK(result.exit_code == exit_code);
        return result.output;
    }
    Bridge& bridge_;
};

}  // namespace

TEST_CASE("check is content with a bridge that works") {
    Bridge bridge;
    CHECK_THAT(bridge.consumer_command({"check"}).output,
               Contains("schema homeward is not there yet; run will create it"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    const CommandResult result = bridge.consumer_command({"check"});
    INFO(result.output);
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.output, Contains("takes writes") && Contains("up to date") &&
                                  Contains("stream HOMEWARD_AUDIT_ams") && !Contains("WRONG"));
}

TEST_CASE("check and run name what is wrong with PostgreSQL, and what to do") {
    Bridge bridge;
    Checks checks(bridge);
    const std::string url = bridge.leader().url();
    const std::string name = "HOMEWARD_POSTGRES_URL";

    CHECK_THAT(checks.with(name, replaced(url, std::to_string(bridge.leader().port()),
                                          std::to_string(free_port()))),
               Contains("is PostgreSQL running there, and postgres.url right?"));
    const std::string nowhere = url.substr(0, url.rfind('/')) + "/nowhere";
    CHECK_THAT(checks.with(name, nowhere), Contains("create the database"));
    CHECK_THAT(checks.run_with(name, nowhere), Contains("\"nowhere\" does not exist"));

    bridge.leader().query("CREATE ROLE app LOGIN");
    bridge.leader().require_password("app", "right");
    const std::string wrong_password = replaced(url, "postgres@", "app:wrong@");
    CHECK_THAT(checks.with(name, wrong_password),
               Contains("check user and password in postgres.url") && !Contains("wrong@"));
    CHECK_THAT(checks.run_with(name, wrong_password),
               Contains("password authentication failed") && !Contains("wrong@"));

    const std::string app = replaced(url, "postgres@", "app:right@");
    CHECK_THAT(checks.with(name, app),
               Contains("this user may not create it") && Contains("postgres.owner_url"));
    CHECK_THAT(checks.run_with(name, app), Contains("permission denied"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("GRANT USAGE ON SCHEMA homeward TO app");
    CHECK_THAT(checks.with(name, app), Contains("the user lacks INSERT on homeward.origin"));

    const auto standby = PostgresServer::standby_of(bridge.leader());
    CHECK_THAT(checks.with(name, standby->url()), Contains("target_session_attrs=read-write"));
}

TEST_CASE("check finds what is wrong with schema, columns, encoding, files and the admin address") {
    Bridge bridge;
    Checks checks(bridge);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    CHECK_THAT(checks.with("HOMEWARD_POSTGRES_EVENT_SCHEMA", "evnts"),
               Contains("schema \"evnts\" of postgres.event_schema is not there"));
    CHECK_THAT(checks.with("HOMEWARD_ADMIN_LISTEN", "nowhere"), Contains("expected host:port"));
    CHECK_THAT(checks.with("HOMEWARD_ADMIN_LISTEN", "192.0.2.1:8222"),
               Contains("cannot listen on 192.0.2.1:8222"));
    CHECK_THAT(checks.with("HOMEWARD_NATS_TLS_CA_FILE", "/nonexistent/ca.pem"),
               Contains("nats.tls_ca_file /nonexistent/ca.pem: No such file"));

    bridge.leader().query("ALTER TABLE public.audit_events RENAME COLUMN actor TO who");
    const CommandResult renamed = bridge.consumer_command({"check"});
    CHECK(renamed.exit_code == 1);
    CHECK_THAT(renamed.output, Contains("lacks actor, and has who") && Contains("RENAME COLUMN"));
    bridge.leader().query("ALTER TABLE public.audit_events RENAME COLUMN who TO actor");

    bridge.leader().query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    const std::string url = bridge.leader().url();
    CHECK_THAT(checks.with("HOMEWARD_POSTGRES_URL", url.substr(0, url.rfind('/')) + "/latin"),
               Contains("encoded in LATIN1") && Contains("ENCODING 'UTF8'"));

    // A remedy has the options that were given, and runs as printed.
    const auto config = bridge.dir() / "a config.toml";
    std::ofstream(config) << "[log]\nformat = \"json\"\n";
    bridge.leader().query("SET client_min_messages = warning; DROP SCHEMA homeward CASCADE");
    bridge.environment()["HOMEWARD_SCHEMA_AUTOMATIC"] = "false";
    const std::string said = bridge.consumer_command({"--config", config.string(), "check"}).output;
    CHECK_THAT(said, Contains("homeward-consumer --config '" + config.string() + "' schema apply"));

    // One line of JSON for each message, also for libpq's of several lines.
    bridge.environment().erase("HOMEWARD_SCHEMA_AUTOMATIC");
    bridge.environment()["HOMEWARD_POSTGRES_URL"] =
        "host=127.0.0.1 port=" + std::to_string(free_port());
    const std::string log =
        bridge.consumer_command({"--config", config.string(), "run"}, 3s).output;
    CHECK_THAT(log, Contains("{\"time\":\"20") && Contains("\"level\":\"warning\",\"message\":\""));
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        CHECK((line.front() == '{' && line.back() == '}'));
    }
}

TEST_CASE("check and run name what is wrong with NATS, and what to do") {
    Bridge bridge;
    Checks checks(bridge);
    const std::string name = "HOMEWARD_NATS_URLS";
    CHECK_THAT(checks.with(name, "nats://127.0.0.1:" + std::to_string(free_port())),
               Contains("is the server running there, and nats.urls right?"));

    NatsOptions locked;
    locked.more = "authorization { user: app, password: right }";
    NatsServer server(locked);
    const std::string wrong = "nats://app:wrong@127.0.0.1:" + std::to_string(server.port());
    CHECK_THAT(checks.with(name, wrong),
               Contains("refuses the credentials") && !Contains("wrong@"));
    CHECK_THAT(checks.run_with(name, wrong), Contains("refuses the credentials"));

    NatsOptions without;
    without.jetstream = false;
    NatsServer plain(without);
    bridge.environment()["HOMEWARD_SOURCES"] = "ams";
    CHECK_THAT(checks.with(name, plain.url()), Contains("jetstream {}"));

    NatsServer empty;
    CHECK_THAT(checks.with(name, empty.url()),
               Contains("HOMEWARD_AUDIT_ams") && Contains("streams apply"));
    CHECK_THAT(checks.run_with(name, empty.url()), Contains("streams apply"));

    bridge.environment()["HOMEWARD_SOURCES"] = "ams@mars";
    CHECK_THAT(checks.with(name, bridge.hub().url()), Contains("domain \"mars\""));
}

TEST_CASE("PostgreSQL before 14 is refused with what to do about it") {
    using homeward::consumer::version_complaint;
    CHECK(version_complaint(140000).empty());
    CHECK_THAT(version_complaint(130012), Contains("PostgreSQL 13") && Contains("14 or newer"));
}
