// The sample shop in two regions behind nginx, with the whole line from its publishers to the
// leader.

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/publisher/replay/regions/two_regions.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kThreads = 4;
constexpr int kRequests = 1'000;

AppOptions shop(const std::string& region, Bridge& bridge, const std::string& replica_url) {
    const NatsServer& nats = region == "ams" ? bridge.leaf() : bridge.hub();
    return {HOMEWARD_SAMPLE,
            region,
            "scl",
            bridge.leader().url(),
            replica_url,
            {{"HOMEWARD_NATS_URL", nats.url()},
             {"HOMEWARD_SPOOL_DIR", bridge.dir() / ("spool_" + region)}}};
}

/// Every second request is a write, which the replica cannot take.
bool ask(httplib::Client& client, int request) {
    const auto answer = request % 2 == 0 ? client.Get("/orders/1")
                                         : client.Post("/orders", "an item", "text/plain");
    return answer && answer->status == (request % 2 == 0 ? 200 : 201);
}

}  // namespace

TEST_CASE("1,000 HTTP requests of which half are replayed leave exactly one audit event each") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SOURCES", "ams@ams,scl@hub"}};
    Bridge bridge(options);
    PostgresServer& leader = bridge.leader();
    leader.query(read_file(HOMEWARD_SAMPLE_SQL));
    const auto replica = PostgresServer::standby_of(leader);
    bridge.start_consumer();
    TwoRegions regions(shop("ams", bridge, replica->url()), shop("scl", bridge, ""));
    // It has the orders when it has caught up with what was written before it was made.
    REQUIRE(wait_until(30s, [&] {
        const auto read = regions.app("ams").Get("/orders/1");
        return read && read->status == 200;
    }));

    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            auto client = regions.edge("ams");
            for (int n = i; n < kRequests; n += kThreads) failed += ask(client, n) ? 0 : 1;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failed == 0);
    CHECK(regions.metric("ams", "homeward_replay_replayed_total{reason=\"read_only_error\"}") ==
          kRequests / 2);
    const auto page = regions.app("ams").Get("/metrics");
    REQUIRE(page);

    // SIGTERM: the apps hand over what they have.
    CHECK(regions.process("ams").stop(30s) == 0);
    CHECK(regions.process("scl").stop(30s) == 0);
    CHECK(regions.log("ams").find("refused") == std::string::npos);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);

    // nginx gives each request one id, which it keeps when it is replayed; those that waited for
    // the replica came without nginx.
    const std::string audit =
        " FROM audit_events a JOIN homeward.origin o ON o.id = a.origin"
        " WHERE request_id IS NOT NULL";
    CHECK(leader.number("SELECT count(*)" + audit) == kRequests);
    CHECK(leader.number("SELECT count(DISTINCT request_id)" + audit) == kRequests);
    CHECK(leader.number("SELECT count(*)" + audit + " AND outcome = 'allowed'") == kRequests);
    CHECK(leader.number("SELECT count(*)" + audit + " AND region = 'scl'") == kRequests / 2);
    CHECK(leader.number("SELECT count(*) FROM orders WHERE item = 'an item'") == kRequests / 2);
    // The replays themselves came through the publisher too, by reason.
    CHECK(leader.number("SELECT sum(sum)::int8 FROM metric_points WHERE name = 'homeward.replays'"
                        " AND attributes ->> 'reason' = 'read_only_error'") == kRequests / 2);
    // Each request was counted and timed once, in the region that answered it.
    const auto timed = [&](const std::string& route, const std::string& region) {
        return leader.number(
            "SELECT coalesce(sum(count), 0)::int8 FROM metric_points p"
            " JOIN homeward.event_origin o ON o.id = p.origin"
            " WHERE name = 'http.server.request.duration' AND attributes ->> 'route' = '" +
            route + "' AND region = '" + region + "'");
    };
    CHECK(timed("read", "ams") >= kRequests / 2);  // and those that waited for the replica
    CHECK(timed("read", "scl") == 0);
    CHECK(timed("write", "ams") == 0);
    CHECK(timed("write", "scl") == kRequests / 2);

    // What Prometheus' own tool makes of the app's page.
    const TempDir dir;
    std::ofstream(dir / "metrics") << page->body;
    ProcessOptions promtool;
    promtool.input = dir / "metrics";
    const CommandResult checked = run_command({"promtool", "check", "metrics"}, promtool);
    INFO(checked.output);
    CHECK(checked.exit_code == 0);
}
