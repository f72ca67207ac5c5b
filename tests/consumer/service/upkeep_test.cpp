// What others do to the leader's tables - partitions of their own, dropped days, publications,
// identity columns - and what a sender asks of it with old events: upkeep goes on, and so does
// everybody else.

#include "schemas/nats/subject.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string day_before(const PostgresServer& leader, int days) {
    return leader.query("SELECT to_char((now() AT TIME ZONE 'UTC')::date - " +
                        std::to_string(days) + ", 'YYYY-MM-DD')")[0][0];
}

std::int64_t partitions(const PostgresServer& leader) {
    return leader.number(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass");
}

bool has_rows(const PostgresServer& leader, std::int64_t count) {
    return wait_until(30s, [&] { return rows(leader) == count; });
}

BridgeOptions quick() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "200"},
                           {"HOMEWARD_BATCH_DELAY_MS", "0"}};
    return options;
}

}  // namespace

TEST_CASE("a DEFAULT partition, a publication of all tables and identity columns end no upkeep") {
    Bridge bridge(quick());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    // PostgreSQL before 17 lets a table have an identity only while it has no partitions.
    leader.query(
        "DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT inhrelid FROM pg_inherits"
        " WHERE inhparent = 'audit_events'::regclass LOOP EXECUTE 'DROP TABLE ' || part;"
        " END LOOP; END $$;"
        "ALTER TABLE audit_events ADD COLUMN number int GENERATED ALWAYS AS IDENTITY");
    leader.query("CREATE TABLE theirs PARTITION OF audit_events DEFAULT");
    leader.query("CREATE TABLE metrics_def PARTITION OF metric_events DEFAULT");
    leader.query("CREATE PUBLICATION everything FOR ALL TABLES");
    // Whatever is deleted from or updated needs an identity then.
    CHECK(leader.query("SELECT c.relname FROM pg_class c"
                       " WHERE c.relnamespace = 'homeward'::regnamespace AND c.relkind = 'r'"
                       " AND c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index i"
                       " WHERE i.indrelid = c.oid AND i.indisprimary)") == Rows{});
    leader.query("SELECT homeward.ensure_partition('public', 'audit_events', current_date - 40)");
    const std::string old = "audit_events_" + leader.query(
                                                  "SELECT to_char(current_date - 40,"
                                                  " 'YYYYMMDD')")[0][0];
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(has_rows(leader, 10));
    sender.send(sender.closing_mark(10));
    CHECK(wait_until(30s, [&] {
        return bridge.metric("homeward_compacted_frames_total") >= 1 &&
               leader.number("SELECT count(*) FROM homeward.heartbeat") == 0;
    }));
    leader.query("UPDATE homeward.event_type SET retention_days = 30 WHERE name = 'audit'");
    CHECK(leader.query("SELECT homeward.drop_expired_partition('public', 'audit_events')") ==
          Rows{{old}});
    CHECK(leader.query("SELECT to_regclass('theirs')") == Rows{{"theirs"}});
    // A further day is made, also where theirs has rows of another one.
    leader.query("SELECT homeward.ensure_partition('public', 'audit_events', current_date + 9)");
    CHECK(leader.query("SELECT to_regclass('audit_events_' || to_char(current_date + 9,"
                       " 'YYYYMMDD')) IS NOT NULL") == Rows{{"t"}});
    // The table's identity numbers the rows of all days. A partition has none of its own, which
    // PostgreSQL 17 and newer refuse to attach, so no sequence; from 17 on it shows the table's.
    CHECK(leader.number("SELECT count(DISTINCT number) FROM audit_events") == 10);
    CHECK(leader.number("SELECT count(*) FROM pg_depend d JOIN pg_inherits i"
                        " ON i.inhrelid = d.refobjid JOIN pg_class s ON s.oid = d.objid"
                        " WHERE i.inhparent = 'audit_events'::regclass"
                        " AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'"
                        " AND s.relkind = 'S'") == 0);
    CHECK_THAT(bridge.consumer_log(), !Contains("[error]"));
    expect_clean(bridge);
}

TEST_CASE("erase works under a publication of all tables, also in partitions of v0.1.0") {
    Bridge bridge(quick());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    leader.query(
        "SELECT homeward.ensure_partitions('public', 'audit_events',"
        " ARRAY[date '2026-01-01', '2026-01-02']);"
        "ALTER TABLE audit_events_20260101 REPLICA IDENTITY DEFAULT;"
        "CREATE PUBLICATION everything FOR ALL TABLES;"
        "INSERT INTO audit_events (origin, seq, time, actor, action, resource, outcome)"
        " SELECT 7, s, timestamptz '2025-12-31 12:00Z' + s * interval '1 day', 'user:7', 'a', 'r',"
        " 'allowed' FROM generate_series(1, 2) AS s");
    const CommandResult erased =
        bridge.consumer_command({"erase", "--type", "audit", "--where", "actor=user:7"});
    INFO(erased.output);
    CHECK(erased.exit_code == 0);
    CHECK_THAT(erased.output, Contains("erased=2"));
}

TEST_CASE("a table that is gone holds up no other's parked events, and no measurement") {
    Bridge bridge(quick());
    bridge.start_consumer();
    PostgresServer& leader = bridge.leader();
    leader.query("DROP TABLE metric_events");
    // By seq: what is gone comes first.
    leader.query(
        "INSERT INTO homeward.origin (id, publisher, class, region, app) OVERRIDING SYSTEM VALUE"
        " VALUES (77, gen_random_uuid(), 'audit', 'ams', 'shop');"
        "INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload)"
        " SELECT 77, seq, state, type, 'by hand', convert_to(payload, 'UTF8') FROM (VALUES"
        " (1, 'parked', 'metric', "
        "'{\"type\":\"metric\",\"name\":\"m\",\"kind\":\"gauge\",\"value\":1}'),"
        " (2, 'parked', 'audit', '" +
        audit_line("parked") + "'), (3, 'open', 'audit', '{}')) AS v (seq, state, type, payload)");
    CHECK(has_rows(leader, 1));
    CHECK(wait_until(
        20s, [&] { return bridge.metric("homeward_dead_letters_waiting{state=\"open\"}") == 1; }));
    CHECK_THAT(bridge.consumer_log(), Contains("redriving parked events of type metric"));
}

TEST_CASE("a day that was dropped is made again for events that come even later") {
    Bridge bridge(quick());
    bridge.start_consumer();
    PostgresServer& leader = bridge.leader();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string day = day_before(leader, 20);
    const std::string line = audit_line("late", "\"" + day + "T12:00:00Z\"");
    std::string table = "audit_events_" + day;
    std::erase(table, '-');
    for (std::uint64_t i = 1; i <= 4; ++i) {  // each writer has met it
        sender.send(sender.frame_of(i, {line}));
        const bool is_there = has_rows(leader, static_cast<std::int64_t>(i));
        INFO(bridge.consumer_log());
        REQUIRE(is_there);
    }
    leader.query("DROP TABLE " + table);
    for (std::uint64_t i = 5; i <= 8; ++i) sender.send(sender.frame_of(i, {line}));
    CHECK(has_rows(leader, 4));
    CHECK(dead_letters(leader) == 0);
}

TEST_CASE("a message of a thousand old days makes 32 partitions at most, and others get theirs") {
    // Method: all are in the first batch.
    BridgeOptions options = quick();
    options.environment["HOMEWARD_BATCH_WRITERS"] = "1";
    options.environment["HOMEWARD_BATCH_DELAY_MS"] = "500";
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    const std::int64_t before = partitions(leader);
    std::string message;
    constexpr int kDays = 900;
    // Every line another day, counted from 2020.
    const Rows days = leader.query(
        "SELECT to_char(date '2020-01-01' + d, 'YYYY-MM-DD')"
        " FROM generate_series(0, " +
        std::to_string(kDays - 1) + ") AS d");
    for (const auto& day : days)
        message += audit_line("old", "\"" + day[0] + "T00:00:00Z\"") + "\n";
    NatsClient client(bridge.leaf().port());
    client.publish(plain_subject("ams", "importer"), message);
    client.publish(plain_subject("ams", "shop"), audit_line("now"));
    client.publish(plain_subject("ams", "till"), audit_line("late", "\"2025-06-01T00:00:00Z\""));
    bridge.start_consumer();
    CHECK(wait_until(30s, [&] { return dead_letters(leader) == kDays - 32; }));
    CHECK(has_rows(leader, 34));
    CHECK(partitions(leader) == before + 33);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter"
                        " WHERE reason LIKE '%asked for 32 new ones%'") == kDays - 32);
    expect_clean(bridge);
}

TEST_CASE("a quarantined frame of any number of days without a partition is accepted") {
    // Method: the leader's lock table has room for some 500 locks, and a new partition takes six.
    BridgeOptions options = quick();
    options.leader_settings = {"max_locks_per_transaction = 10", "max_connections = 20"};
    Bridge bridge(options);
    bridge.start_consumer();
    PostgresServer& leader = bridge.leader();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame_of(1, {audit_line("now")}));
    REQUIRE(has_rows(leader, 1));
    constexpr int kDays = 200;
    std::vector<std::string> lines;
    for (int i = 0; i < kDays; ++i)
        lines.push_back(audit_line("old", "\"" + day_before(leader, 100 + i) + "T12:00:00Z\""));
    sender.send(sender.frame_of(1, lines));
    REQUIRE(wait_until(30s, [&] { return conflicts(leader) == 1; }));
    const CommandResult accepted = bridge.consumer_command({"conflicts", "accept", "1"});
    INFO(accepted.output);
    CHECK(accepted.exit_code == 0);
    CHECK(rows(leader) == kDays);  // the first seq has its row already
    expect_clean(bridge);
}

TEST_CASE("the consumer counts days that are over, and its late events make their count invalid") {
    Bridge bridge(quick());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    leader.query(
        "SELECT homeward.ensure_partition('public', 'audit_events',"
        " (now() AT TIME ZONE 'UTC')::date - 5)");
    bridge.start_consumer();
    const std::string of_day =
        " FROM homeward.counted_day k WHERE k.table_name = 'audit_events'"
        " AND k.day = (now() AT TIME ZONE 'UTC')::date - 5 AND NOT k.is_counting";
    REQUIRE(wait_until(30s, [&] { return leader.number("SELECT count(*)" + of_day) == 1; }));
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string late = audit_line("late", "\"" + day_before(leader, 5) + "T12:00:00Z\"");
    sender.send(sender.frame_of(1, {late, late, audit_line("now")}));
    CHECK(has_rows(leader, 3));
    CHECK(leader.number("SELECT count(*) FROM homeward.late_rows l WHERE l.counted_day IN"
                        " (SELECT k.id" +
                        of_day + ")") == 1);
    expect_clean(bridge);
}

TEST_CASE("check lists the consumers that run, and names one that could not read version 2") {
    Bridge bridge(quick());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    leader.query(
        "INSERT INTO homeward.consumer VALUES"
        " (gen_random_uuid(), 'gone', '0.2.0', 2, now(), now() - interval '2 hours'),"
        " (gen_random_uuid(), 'quiet', '0.2.0', 2, now(), now() - interval '4 minutes'),"
        " (gen_random_uuid(), 'behind', '0.1.9', 1, now(), now())");
    bridge.start_consumer();
    CHECK(wait_until(20s, [&] {
        return leader.query(
                   "SELECT host <> 'behind', frame_version_max, last_seen_at > started_at"
                   " FROM homeward.consumer WHERE host NOT IN ('behind', 'quiet')") ==
               Rows{{"t", "2", "t"}};
    }));
    const CommandResult check = bridge.consumer_command({"check"});
    INFO(check.output);
    CHECK(check.exit_code == 0);
    CHECK_THAT(check.output,
               Contains("reads frames up to version 2, seen ") &&
                   Contains("note  consumer 0.1.9 on behind reads frames up to version 1 only: "
                            "upgrade it before a publisher sets frame_version = 2") &&
                   !Contains("quiet"));
}
