// The wire for others: the NATS client from npm, and nothing of ours, emits as schemas/README.md
// says, with the login and the permissions that deploy/nats/generate gives an app.

#include "tests/deploy/topology.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// What npm says when it cannot reach its registry; anything else is a failure of ours.
bool is_unreachable(const std::string& output) {
    for (const char* code : {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT",
                             "ENETUNREACH", "ERR_SOCKET_TIMEOUT"}) {
        if (output.find(code) != std::string::npos) return true;
    }
    return false;
}

CommandResult in(const fs::path& directory, const std::string& command,
                 const std::map<std::string, std::string>& environment) {
    ProcessOptions options;
    options.environment = environment;
    return run_command({"sh", "-c", "cd '" + directory.string() + "' && exec " + command}, options,
                       120s);
}

}  // namespace

TEST_CASE("one plain JSON event and a hundred lines from npm's NATS client are a row each") {
    // Method: the client is installed in the version that the lock file pins; two messages.
    const TempDir app;
    for (const char* file : {"package.json", "package-lock.json", "emit.js"}) {
        fs::copy(fs::path(HOMEWARD_NPM_APP) / file, app / file);
    }
    const CommandResult installed =
        in(app.path(), "npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1",
           {{"npm_config_cache", app / "cache"}, {"npm_config_update_notifier", "false"}});
    if (installed.exit_code != 0 && is_unreachable(installed.output)) {
        WARN("skipped: the registry of npm cannot be reached: " << installed.output);
        return;
    }
    INFO(installed.output);
    REQUIRE(installed.exit_code == 0);

    Topology topology(TopologyOptions{.regions = {"ams"}, .apps = {"node"}});
    topology.start_consumer();
    const CommandResult emitted =
        in(app.path(), "node emit.js",
           {{"NATS_URL", "nats://127.0.0.1:" + std::to_string(topology.port("ams"))},
            {"NATS_USER", "app-node"},
            {"NATS_PASSWORD", topology.secret("app-ams.node")}});
    INFO(emitted.output);
    REQUIRE(emitted.exit_code == 0);

    PostgresServer& leader = topology.leader();
    CHECK(
        wait_until(60s, [&] { return leader.number("SELECT count(*) FROM audit_events") == 101; }));
    const CommandResult proof = topology.consumer_command({"proof", "--wait", "30"});
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    CHECK(leader.number("SELECT count(DISTINCT resource) FROM audit_events") == 101);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter") == 0);
}
