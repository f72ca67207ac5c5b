// Requests that a replica region replays in the primary, through real servers to real rows.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include <homeward/replay/decide.hpp>
#include <homeward/request_scope.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kThreads = 4;
constexpr int kRequests = 1'000;

PublisherOptions options(const NatsServer& server, const std::string& region) {
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = region;
    options.app = "shop";
    return options;
}

/// What one request leaves behind: an audit event and a metric.
void handle(Publisher& publisher, int request, EmitResult wanted) {
    const std::string resource = "order:" + std::to_string(request);
    events::Audit audit;
    audit.actor = "user:1";
    audit.action = "order.place";
    audit.resource = resource;
    audit.outcome = events::Audit::Outcome::allowed;
    if (publisher.emit(audit) != wanted) throw std::runtime_error("audit was not taken");
    events::Metric metric;
    metric.name = "orders_total";
    metric.kind = events::Metric::Kind::counter;
    metric.value = 1;
    if (publisher.emit(metric) != wanted) throw std::runtime_error("metric was not taken");
}

/// As an adapter does it: handle here, and hand over to the primary what needs it.
void serve(Publisher& replica, Publisher& primary, int request) {
    RequestScope scope(replica);
    handle(replica, request, EmitResult::held);
    replay::Situation situation;
    situation.method = "POST";
    situation.has_handler_run = true;
    if (request % 2 == 1) situation.cause = replay::Cause::read_only;
    const replay::Decision decision = replay::decide(situation, {"scl", "ams"});
    if (decision.verdict != replay::Verdict::replay) {
        if (request % 4 == 0) scope.publish();  // the others are left to the destructor
        return;
    }
    scope.drop();
    std::thread([&primary, request] { handle(primary, request, EmitResult::accepted); }).join();
}

}  // namespace

TEST_CASE("1,000 requests of which half are replayed give exactly one audit event each") {
    BridgeOptions bridge_options;
    bridge_options.environment = {{"HOMEWARD_SOURCES", "ams@ams,scl@hub"}};
    Bridge bridge(bridge_options);
    bridge.start_consumer();
    {
        Publisher replica(options(bridge.leaf(), "ams"));
        Publisher primary(options(bridge.hub(), "scl"));
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&, i] {
                for (int n = i; n < kRequests; n += kThreads) serve(replica, primary, n);
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(replica.close(30s).done);
        CHECK(primary.close(30s).done);
        CHECK(replica.stats().audit.accepted == kRequests / 2);
        CHECK(primary.stats().audit.accepted == kRequests / 2);
    }
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events") == kRequests);
    CHECK(bridge.leader().number("SELECT count(DISTINCT resource) FROM audit_events") == kRequests);
    CHECK(bridge.leader().number("SELECT count(*) FROM metric_events") == kRequests);
}

TEST_CASE("a SIGKILL while a scope publishes leaves all of its events or none") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    // Method: a child publishes scopes of seven events as fast as it can, and is killed at a random
    // time once it is well at it; the next start sends what it left. Five rounds.
    Bridge bridge;
    bridge.start_consumer();
    const std::filesystem::path spool = bridge.dir() / "spool";
    PublisherOptions spooled = options(bridge.leaf(), "ams");
    spooled.spool_dir = spool;
    std::mt19937 random(std::random_device{}());
    for (int round = 0; round < 5; ++round) {
        int is_well_at_it[2];
        REQUIRE(::pipe(is_well_at_it) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            Publisher publisher(spooled);
            for (int request = 0;; ++request) {
                const std::string id = std::to_string(round) + ":" + std::to_string(request);
                RequestScope scope(publisher);
                for (int i = 0; i < 7; ++i) {
                    const EmitResult result =
                        publisher.emit_json("audit", EventClass::audit,
                                            R"({"actor":"a","action":"b","resource":"c",)"
                                            R"("outcome":"allowed","request_id":")" +
                                                id + R"("})");
                    if (result != EmitResult::held) ::_exit(2);
                }
                while (scope.publish() != EmitResult::accepted) std::this_thread::sleep_for(1ms);
                if (request == 5 && ::write(is_well_at_it[1], "", 1) != 1) ::_exit(1);
                std::this_thread::sleep_for(50us);
            }
        }
        ::close(is_well_at_it[1]);
        char byte = 0;
        CHECK(::read(is_well_at_it[0], &byte, 1) == 1);
        ::close(is_well_at_it[0]);
        sleep_ms(static_cast<int>(30 + random() % 100));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    {
        Publisher next(spooled);
        CHECK(wait_until(30s, [&] { return next.stats().spools_recovering == 0; }));
        CHECK(next.close(30s).done);
    }
    bridge.consumer_command({"proof", "--wait", "60"}, 90s);
    CHECK(bridge.leader().number("SELECT count(*) FROM audit_events") > 100);
    CHECK(bridge.leader().number("SELECT count(*) FROM (SELECT FROM audit_events GROUP BY "
                                 "request_id HAVING count(*) <> 7) AS torn") == 0);
}
