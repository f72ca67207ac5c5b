// homeward-consumer check and run against servers that are wrong, each in its own way: the answer
// names what is wrong and what to do.

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
        const std::string before = bridge_.environment()[name];
        bridge_.environment()[name] = value;
        const CommandResult result = bridge_.consumer_command({word}, 20s);
        bridge_.environment()[name] = before;
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
