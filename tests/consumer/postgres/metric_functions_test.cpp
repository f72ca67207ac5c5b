// homeward.rate(), homeward.quantile() and the merge of histograms, on a real leader: a script
// compares them with numpy on the same samples.

#include <iostream>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("metric functions agree with numpy, and refuse what they cannot answer") {
    Bridge bridge;
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    ProcessOptions options;
    options.environment = {{"PGHOST", "127.0.0.1"},
                           {"PGPORT", std::to_string(bridge.leader().port())},
                           {"PGUSER", "postgres"},
                           {"PGTZ", "UTC"},
                           {"LC_ALL", "C.UTF-8"}};
    const CommandResult compared =
        run_command({HOMEWARD_METRIC_FUNCTIONS_SCRIPT, HOMEWARD_DASHBOARD}, options, 600s);
    std::cout << compared.output;
    CHECK(compared.exit_code == 0);
}

TEST_CASE("metric functions choose the days of a packed table that they read") {
    // Method: a day's packs are locked, so that whoever would read them fails.
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    leader.query(
        "SELECT homeward.ensure_partitions('public', t, ARRAY['2026-01-01', current_date])"
        " FROM unnest('{metric_points_rows,metric_points_packs}'::text[]) AS t");
    leader.query(
        "INSERT INTO metric_points (origin, seq, time, name, kind, start_time, sum, count, scale,"
        " zero_count) SELECT 1, i, now(), k, k, now() - interval '1 s', 1, 5, 0, 5"
        " FROM unnest('{counter,histogram}'::text[]) WITH ORDINALITY AS u (k, i)");
    // Who may read the view alone reads all days.
    leader.query(
        "CREATE ROLE viewer; GRANT USAGE ON SCHEMA homeward TO viewer;"
        "GRANT SELECT ON homeward.event_type, homeward.packed_type, homeward.event_origin,"
        " metric_points TO viewer");
    CHECK(leader.query("SET SESSION AUTHORIZATION viewer;"
                       "SELECT sum(value) * 60 FROM homeward.rate('counter', '1 min')") ==
          Rows{{"1"}});
    const std::string old_day = leader.query(
        "SELECT string_agg(relid::regclass::text, ', ') FROM (SELECT relid FROM"
        " pg_partition_tree('metric_points_packs') UNION ALL SELECT relid FROM"
        " pg_partition_tree('metric_points_rows')) AS t WHERE relid::regclass::text LIKE '%0101'")
                                    [0][0];
    REQUIRE_THAT(old_day, Catch::Matchers::Contains(","));
    const Process locker({"psql", "-q", leader.url(), "-c",
                          "BEGIN; LOCK TABLE " + old_day + "; SELECT pg_sleep(300)"},
                         {.log = "/dev/null"});
    REQUIRE(wait_until(20s, [&] {
        return leader.number(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1;
    }));
    const auto read = [&](const std::string& sql) {
        return leader.query("SET lock_timeout = '1s'; " + sql);
    };
    CHECK_THROWS_WITH(read("SELECT count(*) FROM metric_points"),
                      Catch::Matchers::Contains("lock timeout"));
    CHECK(read("SELECT sum(value) * 60 FROM homeward.rate('counter', '1 min')") == Rows{{"1"}});
    CHECK(read("SELECT value FROM homeward.quantile('histogram', 0.5, '1 min')") == Rows{{"0"}});
    CHECK(read("SELECT count(*) FROM homeward.metric_series") == Rows{{"2"}});
    CHECK(read("SELECT count(*) FROM homeward.rate('nothing', '1 min')") == Rows{{"0"}});
}
