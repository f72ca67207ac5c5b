// Packs over time: late events and counted days, erasure, rows that are packed later, and tables
// whose ledger is gone.

#include "tests/consumer/ledger/account.hpp"
#include "tests/consumer/write/packed_type.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/pooler.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// As the consumer does, sooner.
void count_days(const PostgresServer& leader) {
    for (const auto& one :
         leader.query("SELECT table_name, day FROM homeward.uncounted_days('0 s', '0 s', 100)")) {
        leader.query("SELECT b.counted_day FROM homeward.begin_day_count('public', '" + one[0] +
                     "', '" + one[1] + "') AS b");
        leader.query(
            "SELECT homeward.finish_day_count(k.id, k.attempt)"
            " FROM homeward.counted_day k WHERE k.is_counting");
    }
}

}  // namespace

TEST_CASE("late events, counted days and retention hold for packs") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string day = leader.query(
        "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYY-MM-DD')")[0][0];
    const auto lines = lines_of("packed", fields_of_events(400), day + "T12:00:00Z");
    sender.send(sender.frame_of(1, lines));
    expect_clean(bridge);
    count_days(leader);
    CHECK(leader.number(
              "SELECT sum(rows) FROM homeward.counted_day WHERE table_name LIKE 'packed%'") == 400);
    CHECK(leader.number("SELECT sum(r.origins_differing) FROM homeward.counted_day k"
                        " CROSS JOIN LATERAL homeward.recount_day(k.id) AS r") == 0);
    sender.send(sender.frame_of(401, lines));
    expect_clean(bridge);
    CHECK(leader.number(count_sql("packed_table")) == 800);
    // A pack that somebody deletes is missing, to the event.
    leader.query("DELETE FROM packed_table_packs WHERE seq <= 400");
    const auto left = leader.number(count_sql("packed_table"));
    CHECK(leader.number("SELECT sum(missing) FROM homeward.proof") == 800 - left);
    leader.query("UPDATE homeward.event_type SET retention_days = 1 WHERE name = 'packed'");
    CHECK(wait_until(30s, [&] {
        leader.query("SELECT homeward.drop_expired_partition('public', 'packed_table')");
        return leader.number(count_sql("packed_table")) == 0;
    }));
    CHECK(leader.number("SELECT sum(missing) FROM homeward.proof") == 800 - left);
}

TEST_CASE("erase deletes single events of packs, and the others stay as they are") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (int frame = 0; frame < 5; ++frame) {
        sender.send(sender.frame_of(static_cast<std::uint64_t>(frame) * 600 + 1,
                                    lines_of("packed", fields_of_events(600))));
    }
    expect_clean(bridge);
    leader.query("CREATE TABLE before AS SELECT * FROM packed_table");
    const CommandResult dry = bridge.consumer_command(
        {"erase", "--type", "packed", "--where", "note=note 3", "--dry-run"});
    const CommandResult erased =
        bridge.consumer_command({"erase", "--type", "packed", "--where", "note=note 3"});
    INFO(dry.output << erased.output);
    CHECK(erased.exit_code == 0);
    const std::int64_t wanted = leader.number("SELECT count(*) FROM before WHERE note = 'note 3'");
    CHECK(wanted > 300);
    CHECK_THAT(dry.output, Contains("would_erase=" + std::to_string(wanted)));
    CHECK_THAT(erased.output, Contains("erased=" + std::to_string(wanted)));
    CHECK(leader.number("SELECT count(*) FROM (SELECT * FROM before WHERE note IS DISTINCT FROM"
                        " 'note 3' EXCEPT ALL SELECT * FROM packed_table) AS d") == 0);
    CHECK(leader.number(count_sql("packed_table")) == 3'000 - wanted);
    CHECK(leader.number(
              "SELECT count(*) FROM packed_table_packs WHERE strpos(note, 'note 3') > 0") == 0);
    const CommandResult tagged =
        bridge.consumer_command({"erase", "--type", "packed", "--where", "tags={b}"});
    INFO(tagged.output);
    CHECK_THAT(tagged.output, !Contains("erased=0"));
    expect_clean(bridge);
}

TEST_CASE(
    "repack moves rows into packs and back while the consumer goes on, and changes no event") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "rows"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::uint64_t next = 1;
    const auto send = [&](const std::string& time) {
        const auto lines = lines_of("packed", fields_of_events(900), time);
        sender.send(sender.frame_of(next, lines));
        next += lines.size();
    };
    send("2026-01-01T10:00:00Z");
    send("2026-01-01T11:00:00Z");
    send("2026-01-02T10:00:00Z");
    expect_clean(bridge);
    count_days(leader);
    const CommandResult early = bridge.consumer_command({"repack", "--type", "packed"});
    CHECK(early.exit_code == 2);
    CHECK_THAT(early.output, Contains("has no packs"));

    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.stop_consumer();  // which would pack days that are over itself
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    leader.query("CREATE TABLE before AS SELECT * FROM packed_table");
    const auto is_same = [&] {
        return leader.number(
                   "SELECT count(*) FROM (SELECT * FROM before EXCEPT ALL"
                   " SELECT * FROM packed_table) AS d") == 0;
    };
    CHECK_THAT(bridge.consumer_command({"repack", "--type", "packed", "--day", "2026-1-1"}).output,
               Contains("YYYY-MM-DD"));
    const CommandResult one =
        bridge.consumer_command({"repack", "--type", "packed", "--day", "2026-01-02"});
    INFO(one.output);
    CHECK(one.exit_code == 0);
    CHECK(leader.number(count_sql("packed_table_rows")) > 1'800);
    CHECK(is_same());
    bridge.start_consumer();
    send("2026-01-01T12:00:00Z");
    const CommandResult all = bridge.consumer_command({"repack", "--type", "packed"});
    INFO(all.output);
    CHECK(all.exit_code == 0);
    expect_clean(bridge);
    CHECK(is_same());
    CHECK(leader.number(count_sql("packed_table")) == 3'600);
    CHECK(leader.number("SELECT count(*) FROM packed_table_rows WHERE strpos(note, E'\\x1e') = 0"
                        " AND note <> E'\\x1d'") == 0);

    write_type(bridge, "packed", measure_type("packed", "rows"));
    bridge.stop_consumer();
    bridge.start_consumer();
    const CommandResult back =
        bridge.consumer_command({"repack", "--type", "packed", "--to-rows", "--json"});
    INFO(back.output);
    CHECK(back.exit_code == 0);
    CHECK(leader.number(count_sql("packed_table_packs")) == 0);
    CHECK(is_same());
    CHECK(leader.number(count_sql("packed_table_rows")) == 3'600);
    expect_clean(bridge);
}

TEST_CASE("a day that cannot be moved is named, and the others are moved") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "rows"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const auto send = [&](std::uint64_t seq, const std::string& time) {
        sender.send(sender.frame_of(seq, lines_of("packed", fields_of_events(100), time)));
    };
    send(1, "2026-01-01T10:00:00Z");
    send(101, "2026-01-02T10:00:00Z");
    expect_clean(bridge);
    bridge.stop_consumer();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    const std::string first = leader.query(
        "SELECT partition::regclass FROM homeward.event_partitions()"
        " WHERE table_name = 'packed_table_rows' AND day = '2026-01-01'")[0][0];
    leader.query(
        "CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'it stays'; END $$;"
        "CREATE TRIGGER stay BEFORE DELETE ON " +
        first + " FOR EACH ROW EXECUTE FUNCTION stay()");
    const CommandResult some = bridge.consumer_command({"repack", "--type", "packed"});
    CHECK(some.exit_code == 1);
    CHECK_THAT(some.output, Contains("day 2026-01-01: it stays [P0001]"));
    CHECK_THAT(some.output, !Contains("2026-01-02") && !Contains("moved=0"));
    CHECK(leader.number("SELECT count(*) FROM packed_table_packs") == 1);
    CHECK(leader.number(count_sql("packed_table")) == 200);

    leader.query("DROP TRIGGER stay ON " + first);
    CHECK(bridge.consumer_command({"repack", "--type", "packed"}).exit_code == 0);
    CHECK(leader.number("SELECT count(*) FROM packed_table_packs") == 2);
    CHECK(leader.number(count_sql("packed_table")) == 200);
}

TEST_CASE("rows of a packed type are packed by the consumer when their day is over") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.environment()["HOMEWARD_BATCH_DELAY_MS"] = "1";
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    // Fewer in a batch than make a pack; first for a day that is not over.
    const std::string now = leader.query(
        "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")[0][0];
    std::int64_t sent = 0;
    const auto send = [&](const std::string& time, int frames) {
        for (int i = 0; i < frames; ++i) {
            sender.send(sender.frame_of(static_cast<std::uint64_t>(sent) + 1,
                                        lines_of("packed", fields_of_events(4), time)));
            sent += 4;
            REQUIRE(
                wait_until(30s, [&] { return leader.number(count_sql("packed_table")) == sent; }));
        }
    };
    send(now, 5);
    CHECK(leader.number(count_sql("packed_table_packs")) == 0);
    send("2026-01-01T12:00:00Z", 10);  // some may be packed before the last has come
    leader.query("CREATE TABLE before AS SELECT * FROM packed_table");
    bridge.stop_consumer();
    bridge.start_consumer();
    INFO(bridge.consumer_log());
    REQUIRE(wait_until(60s, [&] {
        return leader.number("SELECT coalesce(sum(_events), 0) FROM packed_table_packs") == 40;
    }));
    CHECK(leader.number(count_sql("packed_table_rows")) == 20);
    CHECK(leader.number("SELECT count(*) FROM (SELECT * FROM before EXCEPT ALL"
                        " SELECT * FROM packed_table) AS d") == 0);
    expect_clean(bridge);
}

TEST_CASE("after the schema homeward was dropped, a packed type's tables are taken up again") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame_of(1, lines_of("packed", fields_of_events(400))));
    expect_clean(bridge);
    bridge.stop_consumer();
    leader.query(
        "CREATE TABLE before AS SELECT number, note, detail FROM packed_table;"
        "DROP SCHEMA homeward CASCADE");
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    CHECK(leader.number("SELECT count(*) FROM (SELECT * FROM before EXCEPT ALL"
                        " SELECT number, note, detail FROM packed_table) AS d") == 0);
    CHECK(leader.number(count_sql("packed_table_by_note('note 3')")) > 0);
    leader.query("INSERT INTO packed_table (origin, seq, time, number) VALUES (1, 9999, now(), 1)");
    CHECK(leader.number("SELECT count(*) FROM packed_table_rows WHERE seq = 9999") == 1);
}

TEST_CASE("what packs have no place for stays rows, and doubled rows keep their seqs") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "rows", R"(, "old": {"type": "string"})"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    leader.query(
        "SELECT homeward.ensure_partitions('public', 'packed_table', ARRAY['2026-01-01'::date]);"
        "ALTER TABLE packed_table ADD COLUMN tenant bigint, ADD COLUMN place point;"
        "INSERT INTO packed_table (origin, seq, time, number, old, tenant, place)"
        " SELECT 7, CASE WHEN i = 2 THEN 1 ELSE i END, '2026-01-01 12:00Z', i, 'old ' || i, i,"
        " CASE WHEN i > 90 THEN point(i, i) END FROM generate_series(1, 100) AS i;"
        "CREATE TABLE before AS SELECT * FROM packed_table");
    // The field goes, another comes, and the type is packed.
    write_type(bridge, "packed", measure_type("packed", "packed"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    write_type(bridge, "packed",
               measure_type("packed", "packed", R"(, "new": {"type": "string"})"));
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    const auto differing = [&] {
        return leader.number(
            "SELECT count(*) FROM (SELECT seq, number, old, tenant FROM before"
            " EXCEPT ALL SELECT seq, number, old, tenant FROM packed_table) AS d");
    };
    CHECK(bridge.consumer_command({"repack", "--type", "packed"}).output == "moved=90\n");
    CHECK(leader.number(count_sql("packed_table_rows")) == 10);
    CHECK(leader.number("SELECT count(*) FROM packed_table_rows WHERE place IS NOT NULL") == 10);
    CHECK(differing() == 0);
    CHECK_THAT(
        bridge.consumer_command({"erase", "--type", "packed", "--where", "old=old 50"}).output,
        Contains("erased=1\n"));
    CHECK(differing() == 1);
    CHECK(bridge.consumer_command({"repack", "--type", "packed", "--to-rows"}).exit_code == 0);
    CHECK(leader.number(count_sql("packed_table_rows")) == 99);
    CHECK(differing() == 1);
}

TEST_CASE("behind a pooler by transaction packs are written, moved back and made again") {
    // Method: one server connection for two writers, upkeep and commands.
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    const Pooler pooler(leader, "transaction", 1);
    bridge.environment()["HOMEWARD_POSTGRES_URL"] = pooler.url();
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(
        sender.frame_of(1, lines_of("packed", fields_of_events(900), "2026-01-01T12:00:00Z")));
    expect_clean(bridge);
    const auto packed = [&] {
        return leader.number("SELECT coalesce(sum(_events), 0) FROM packed_table_packs");
    };
    const std::int64_t written = packed();
    CHECK(written > 800);
    leader.query("CREATE TABLE before AS SELECT * FROM packed_table");
    bridge.stop_consumer();
    const CommandResult back =
        bridge.consumer_command({"repack", "--type", "packed", "--to-rows", "--json"});
    INFO(back.output);
    CHECK(back.exit_code == 0);
    CHECK(packed() == 0);
    CHECK(leader.number(count_sql("packed_table_rows")) == 900);
    bridge.start_consumer();
    CHECK(wait_until(60s, [&] { return packed() == written; }));
    CHECK(leader.number("SELECT count(*) FROM (SELECT * FROM before EXCEPT ALL"
                        " SELECT * FROM packed_table) AS d") == 0);
    expect_clean(bridge);
}
