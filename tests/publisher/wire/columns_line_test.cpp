// Columns on their whole way, from emit() to the leader: typed events and JSON in one frame, an
// event that the leader refuses among them, one of a type that nobody knows yet. Judged on the
// leader.

#include <homeward/publisher.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kEvents = 3'000;

PublisherOptions options_of(Bridge& bridge) {
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {bridge.leaf().url()};
    options.spool_dir = bridge.dir() / "spool";
    options.frame_version = 2;
    return options;
}

/// Every thousandth has an actor that the table refuses.
void emit_typed(Publisher& publisher) {
    JsonObject detail;
    for (int i = 0; i < kEvents; ++i) {
        const std::string resource = "order:" + std::to_string(i);
        detail.clear();
        detail.add("n", i).add("note", "grüße \"\n");
        events::Audit event;
        event.actor = i % 1'000 == 500 ? "refused" : "user:7";
        event.action = "order.view";
        event.resource = resource;
        event.outcome = events::Audit::Outcome::allowed;
        if (i % 2 == 0) event.detail = detail;
        REQUIRE(publisher.emit_wait(event, 10s) == EmitResult::accepted);
        if (i % 100 == 0) {
            REQUIRE(publisher.emit_json("audit", EventClass::audit,
                                        R"({"actor":"json","action":"a","outcome":"denied",)"
                                        R"("resource":"r","more":1})") == EmitResult::accepted);
            REQUIRE(publisher.emit_json("later", EventClass::audit, R"({"n":1})") ==
                    EmitResult::accepted);
        }
    }
}

}  // namespace

TEST_CASE("columns arrive as rows, and the leader's refusals as dead letters with their JSON") {
    Bridge bridge;
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    leader.query("ALTER TABLE audit_events ADD CONSTRAINT nobody CHECK (actor <> 'refused')");
    bridge.start_consumer();
    Publisher publisher(options_of(bridge));
    emit_typed(publisher);
    for (int i = 0; i < 10; ++i) {
        events::Metric metric;
        metric.name = "queue.depth";
        metric.kind = events::Metric::Kind::gauge;
        metric.value = i == 0 ? -0.0 : i / 8.0;
        CHECK(publisher.emit(metric) == EmitResult::accepted);
    }
    CHECK(publisher.close(30s).done);
    CHECK(wait_until(60s, [&] {
        return leader.number("SELECT count(*) FROM audit_events") == kEvents - 3 + 30 &&
               leader.number("SELECT count(*) FROM metric_events") == 10 &&
               leader.number("SELECT count(*) FROM homeward.dead_letter") == 33;
    }));
    INFO(bridge.consumer_log());
    CHECK(leader.query("SELECT count(*), count(DISTINCT resource), count(detail),"
                       " count(*) FILTER (WHERE detail ->> 'note' = E'grüße \"\\n')"
                       " FROM audit_events WHERE actor = 'user:7'") ==
          Rows{{"2997", "2997", "1497", "1497"}});
    CHECK(leader.number("SELECT count(*) FROM audit_events WHERE actor = 'json'"
                        " AND extra = '{\"more\":1}'") == 30);
    CHECK(leader.query("SELECT min(value)::text, max(value)::text FROM metric_events") ==
          Rows{{"-0", "1.125"}});
    CHECK(leader.query("SELECT sqlstate, payload_json ->> 'resource', payload_json ->> 'actor',"
                       " payload_json #>> '{detail,n}' FROM (SELECT sqlstate, seq,"
                       " convert_from(payload, 'UTF8')::jsonb AS payload_json"
                       " FROM homeward.dead_letter WHERE type = 'audit') AS d ORDER BY seq") ==
          Rows{{"23514", "order:500", "refused", "500"},
               {"23514", "order:1500", "refused", "1500"},
               {"23514", "order:2500", "refused", "2500"}});
    // Mended, the same events land.
    leader.query("ALTER TABLE audit_events DROP CONSTRAINT nobody");
    CHECK(bridge.consumer_command({"dead-letters", "redrive", "--sqlstate", "23514"}).exit_code ==
          0);
    CHECK(wait_until(30s, [&] {
        return leader.number("SELECT count(*) FROM audit_events WHERE actor = 'refused'") == 3;
    }));
    CHECK(bridge.consumer_command({"proof", "--wait", "60"}, 90s).exit_code == 0);
}

TEST_CASE("doubles beyond whole numbers of 64 bits and -0.0 are rows, in either frame version") {
    Bridge bridge;
    bridge.start_consumer();
    for (const int version : {1, 2}) {
        PublisherOptions options = options_of(bridge);
        options.frame_version = static_cast<std::uint8_t>(version);
        Publisher publisher(options);
        for (const double value : {0x1p64, -0x1p63 - 2048, -0.0}) {
            events::Metric metric;
            metric.name = "edge";
            metric.kind = events::Metric::Kind::gauge;
            metric.value = value;
            CHECK(publisher.emit(metric) == EmitResult::accepted);
        }
        CHECK(publisher.close(30s).done);
    }
    PostgresServer& leader = bridge.leader();
    wait_until(60s, [&] { return leader.number("SELECT count(*) FROM metric_events") == 6; });
    INFO(bridge.consumer_log());
    CHECK(leader.query("SELECT value::text, count(DISTINCT origin) FROM metric_events"
                       " GROUP BY 1 ORDER BY value::text COLLATE \"C\"") ==
          Rows{{"-0", "2"}, {"-9.223372036854778e+18", "2"}, {"1.8446744073709552e+19", "2"}});
}
