// The proof's counts of closed days: what makes them invalid, what is read in spite of them, and
// what dropped and detached days leave behind.

#include <nlohmann/json.hpp>

#include "tests/consumer/ledger/ledger_database.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// committed, missing, duplicated, of all origins, and whether counts were used.
std::string sums(const LedgerDatabase& ledger) {
    return ledger.ask(
        "SELECT sum(committed), sum(missing), sum(duplicated), bool_or(counted_at IS NOT NULL)"
        " FROM homeward.proof");
}

std::string part(const LedgerDatabase& ledger, int days_ago) {
    return ledger.ask("SELECT 'audit_events_' || to_char((now() AT TIME ZONE 'UTC')::date - " +
                      std::to_string(days_ago) + ", 'YYYYMMDD')");
}

/// Past every trigger, as damage would.
std::string unnoticed(const std::string& sql) {
    return "SET session_replication_role = replica; " + sql;
}

}  // namespace

TEST_CASE("a counted day is not read again, until a transaction adds to it or takes from it") {
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(1'000);
    ledger.add_rows(origin, 1, 900, 3);
    ledger.add_rows(origin, 901, 1'000, 0);
    CHECK(sums(ledger) == "1000|0|0|f");
    CHECK(ledger.count_days() >= 1);
    CHECK(sums(ledger) == "1000|0|0|t");

    SECTION("what nobody noted is found by proof --recount, and named") {
        ledger.ask(unnoticed("DELETE FROM audit_events WHERE seq = 17"));
        CHECK(ledger.consumer({"proof"}).exit_code == 0);
        const CommandResult recount = ledger.consumer({"proof", "--recount"});
        INFO(recount.output);
        CHECK(recount.exit_code == 1);
        CHECK_THAT(recount.output,
                   Contains("900 rows were counted, 899 are there; 1 origins differ") &&
                       Contains("missing seqs 17\n") && Contains("missing=1"));
        // From now on the wrong count is believed by nobody.
        CHECK(ledger.consumer({"proof"}).exit_code == 1);
    }
    SECTION("a late row, and one deleted by hand") {
        ledger.add_rows(ledger.add_origin(1), 1, 1, 3);
        CHECK(sums(ledger) == "1001|0|0|f");
        CHECK(ledger.count_days() == 1);
        CHECK(sums(ledger) == "1001|0|0|t");
        ledger.ask("DELETE FROM audit_events WHERE seq = 18");
        CHECK(sums(ledger) == "1000|1|0|f");
        CHECK(ledger.ask("SELECT homeward.missing_seqs(" + std::to_string(origin) + ")") ==
              "{[18,19)}");
    }
    SECTION("a changed row") {
        ledger.ask("UPDATE audit_events SET seq = 5000 WHERE seq = 20");
        CHECK(sums(ledger) == "999|1|1|f");
    }
    SECTION("a doubled row that makes up for a missing one in another day") {
        ledger.ask(unnoticed("DELETE FROM audit_events WHERE seq = 950"));
        ledger.add_rows(origin, 5, 5, 0);
        CHECK(sums(ledger) == "999|1|1|t");
    }
    SECTION("a disabled trigger") {
        ledger.ask("ALTER TABLE " + part(ledger, 3) + " DISABLE TRIGGER homeward_late_rows");
        CHECK(sums(ledger) == "1000|0|0|f");
    }
}

TEST_CASE("who writes to a day while it is counted is seen, whenever it commits") {
    // Method: the writer's transaction stays open over one part of the count after another.
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(11);
    ledger.add_rows(origin, 1, 10, 3);
    const std::string insert =
        "BEGIN; INSERT INTO audit_events SELECT origin, 11, time, actor, action, resource, outcome"
        " FROM audit_events WHERE seq = 10; ";
    const auto writer = [&](const std::string& then) {
        return ledger.start_psql(insert + "SELECT pg_sleep(1); " + then);
    };
    const auto sleeps = [&] {
        return ledger.number(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                   " AND datname = current_database()") == 1;
    };
    const auto begin = [&] {
        return ledger.ask(
            "SELECT b.counted_day || ',' || b.attempt FROM homeward.begin_day_count('public',"
            " 'audit_events', (now() AT TIME ZONE 'UTC')::date - 3) AS b");
    };
    const auto finish = [&](const std::string& begun) {
        return ledger.ask("DO $$ BEGIN PERFORM homeward.finish_day_count(" + begun +
                          "); EXCEPTION WHEN lock_not_available THEN RAISE NOTICE 'in the way';"
                          " END $$");
    };
    SECTION("it began before: the count gives way") {
        const std::string begun = begin();
        Process open = writer("COMMIT");
        REQUIRE(wait_until(20s, sleeps));
        CHECK_THAT(finish(begun), Contains("in the way"));
        CHECK(open.wait(20s) == 0);
        CHECK(sums(ledger) == "11|0|0|f");
        finish(begin());
        CHECK(sums(ledger) == "11|0|0|t");
    }
    SECTION("it commits when the day has been counted") {
        finish(begin());
        Process open = writer("COMMIT");
        REQUIRE(wait_until(20s, sleeps));
        CHECK(sums(ledger) == "10|1|0|t");
        CHECK(open.wait(20s) == 0);
        CHECK(sums(ledger) == "11|0|0|f");
    }
    SECTION("two count at once: the first one's count does not stand") {
        const std::string first = begin();
        const std::string second = begin();
        finish(first);
        CHECK(ledger.ask("SELECT is_counting FROM homeward.counted_day") == "t");
        finish(second);
        CHECK(ledger.ask("SELECT is_counting FROM homeward.counted_day") == "f");
    }
}

TEST_CASE("the proof reads more partitions than the lock table has room for") {
    LedgerDatabase ledger;
    constexpr int kDays = 400;
    for (int first = 1; first < kDays; first += 20) {
        ledger.ask(
            "SELECT homeward.ensure_partitions('public', 'audit_events',"
            " ARRAY(SELECT (now() AT TIME ZONE 'UTC')::date - d FROM generate_series(" +
            std::to_string(first) + ", " + std::to_string(first + 19) + ") AS d))");
    }
    const int origin = ledger.add_origin(20);
    for (int i = 0; i < 20; ++i) ledger.add_rows(origin, i + 1, i + 1, 10 + i * 18);
    // As before: one query over all of them.
    CHECK_THAT(ledger.failure("SELECT * FROM homeward.row_count()"),
               Contains("out of shared memory"));
    CHECK(sums(ledger) == "20|0|0|f");
    // Also the rows of an origin that misses some.
    ledger.ask("DELETE FROM " + part(ledger, 10));
    const CommandResult proof = ledger.consumer({"proof"});
    INFO(proof.output);
    CHECK(proof.exit_code == 1);
    CHECK_THAT(proof.output, Contains("missing seqs 1\n") && Contains("missing=1"));
}

TEST_CASE("dropped, detached and archived days do not read as missing, once they were counted") {
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(300);
    for (int day = 2; day <= 4; ++day)
        ledger.add_rows(origin, day * 100 - 199, day * 100 - 100, day);
    ledger.count_days();
    ledger.ask("DROP TABLE " + part(ledger, 2));
    ledger.ask("ALTER TABLE audit_events DETACH PARTITION " + part(ledger, 3) + "; ALTER TABLE " +
               part(ledger, 3) + " RENAME TO archive");
    CHECK(sums(ledger) == "300|0|0|t");
    CHECK(ledger.ask("SELECT expired FROM homeward.proof") == "200");
    // The day is made again by late events, and counted anew.
    ledger.add_rows(ledger.add_origin(1), 1, 1, 2);
    CHECK(sums(ledger) == "301|0|0|t");
    CHECK(ledger.count_days() == 1);
    CHECK(sums(ledger) == "301|0|0|t");
    // Attached again, the archive is a day like any other.
    ledger.ask(
        "DO $$ DECLARE day timestamptz := date_trunc('day', now() - interval '72 h', 'UTC'); BEGIN"
        " EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION archive FOR VALUES FROM (%L)"
        " TO (%L)', day, day + interval '24 h'); END $$");
    ledger.add_rows(ledger.add_origin(1), 1, 1, 3);
    CHECK(sums(ledger) == "302|0|0|t");
    CHECK(ledger.ask("SELECT sum(expired) FROM homeward.proof") == "100");
    // And what retention drops was counted or not.
    ledger.ask("UPDATE homeward.event_type SET retention_days = 1 WHERE name = 'audit'");
    while (
        !ledger.ask("SELECT homeward.drop_expired_partition('public', 'audit_events')").empty()) {
    }
    CHECK(sums(ledger) == "302|0|0|f");
    CHECK(ledger.ask("SELECT count(*) FROM homeward.day_rows r JOIN homeward.counted_day d"
                     " ON d.id = r.counted_day WHERE d.table_name = 'audit_events'") == "0");
}

TEST_CASE("proof --origin reads one origin, by its number or its publisher") {
    LedgerDatabase ledger;
    const int good = ledger.add_origin(10);
    ledger.add_rows(good, 1, 10, 0);
    const int bad = ledger.add_origin(10);
    const auto proof = [&](const std::string& whom) {
        return ledger.consumer({"proof", "--json", "--origin", whom});
    };
    CHECK(ledger.consumer({"proof"}).exit_code == 1);
    CHECK(proof(std::to_string(good)).exit_code == 0);
    const CommandResult found = proof(ledger.ask(
        "SELECT left(publisher::text, 13) FROM homeward.origin WHERE id = " + std::to_string(bad)));
    CHECK(found.exit_code == 1);
    const auto json = nlohmann::json::parse(found.output);
    REQUIRE(json["origins"].size() == 1);
    CHECK(json["origins"][0]["origin"] == bad);
    CHECK(json["origins"][0]["missing_seqs"] == nlohmann::json::parse("[[1, 10]]"));
    CHECK(proof("77").exit_code == 2);
}

TEST_CASE("a row of 400 days ago still has its region and app when the ledger has forgotten it") {
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(10);
    ledger.add_rows(origin, 1, 10, 400);
    const int abandoned = ledger.add_origin(10);
    ledger.add_rows(abandoned, 1, 5, 401);
    ledger.ask("SELECT homeward.compact()");
    ledger.ask("UPDATE homeward.ledger SET last_seen_at = now() - interval '400 days'");
    ledger.ask("UPDATE homeward.origin SET abandoned_at = now() - interval '400 days' WHERE id = " +
               std::to_string(abandoned));
    ledger.ask("UPDATE homeward.ledger SET is_closed = false WHERE origin = " +
               std::to_string(abandoned));
    REQUIRE(ledger.number("SELECT homeward.complete_origins()") == 1);
    REQUIRE(ledger.number("SELECT homeward.forget(365)") == 2);
    CHECK(ledger.ask("SELECT count(*) FROM homeward.known_origin") == "0");
    CHECK(sums(ledger) == "|||");
    CHECK(ledger.ask("SELECT o.region, o.app, count(*) FROM audit_events e"
                     " JOIN homeward.event_origin o ON o.id = e.origin GROUP BY 1, 2") ==
          "ams|shop|15");
    // As long as some type keeps its rows for ever; else as long as the longest retention.
    const auto age = [&](int days) {
        ledger.ask("UPDATE homeward.forgotten_origin SET forgotten_on = current_date - " +
                   std::to_string(days) + "; SELECT homeward.forget(365)");
        return ledger.number("SELECT count(*) FROM homeward.event_origin");
    };
    CHECK(age(10'000) == 2);
    ledger.ask("UPDATE homeward.event_type SET retention_days = 500 WHERE name = 'audit'");
    CHECK(age(500) == 2);
    CHECK(age(501) == 0);
}

TEST_CASE("plain messages are forgotten by their time, but not what a batch has in hand") {
    LedgerDatabase ledger;
    const std::string sources =
        "INSERT INTO homeward.plain_run (source, epoch, seq_first, seq_last, time_first, time_last,"
        " batch) SELECT 1, 1, d, d, now() - d * interval '1 day', now() - d * interval '1 day', d"
        " FROM unnest('{5, 20, 40}'::int[]) AS d;"
        "INSERT INTO homeward.plain_message SELECT 1, d, now() - d * interval '1 day', d, 1"
        " FROM unnest('{5, 20, 40}'::int[]) AS d;"
        "INSERT INTO homeward.plain_batch (id, source, origins, firsts, lasts, run_epochs,"
        " run_firsts) OVERRIDING SYSTEM VALUE VALUES (40, 1, '{1}', '{1}', '{1}', '{1}', '{40}')";
    ledger.ask(sources);
    ledger.ask("SELECT homeward.forget(10)");
    CHECK(ledger.ask("SELECT stream_seq FROM homeward.plain_message") == "5");
    CHECK(ledger.ask("SELECT seq_first FROM homeward.plain_run ORDER BY 1") == "5\n40");
    for (const char* wrong : {"forget(0)", "forget(-100000)", "uncounted_days('-1 day')",
                              "uncounted_days('0', '0', 0)"}) {
        CHECK_THAT(ledger.failure("SELECT homeward." + std::string(wrong)), Contains("at least 1"));
    }
}

TEST_CASE("seqs close to 2^63, of two origins, break neither proof nor status") {
    LedgerDatabase ledger;
    for (int i = 0; i < 2; ++i) {
        const std::string origin = std::to_string(ledger.add_origin(1));
        ledger.add_rows(i + 1, 1, 1, 0);
        ledger.ask("SELECT homeward.settle('{" + origin +
                   "}', '{9223372036854775000}', '{9223372036854775001}',"
                   " '{9223372036854775001}', '{false}')");
        ledger.ask(
            "INSERT INTO audit_events (origin, seq, time, actor, action, resource, outcome)"
            " SELECT " +
            origin +
            ", s, now(), 'a', 'a.b', 'c', 'allowed'"
            " FROM generate_series(9223372036854775000, 9223372036854775001) AS s");
    }
    CHECK(sums(ledger) == "6|0|0|f");
    CHECK(ledger.ask("SELECT DISTINCT accepted, in_flight FROM homeward.proof") ==
          "9223372036854775001|9223372036854774998");
    const CommandResult proof = ledger.consumer({"proof"});
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    CHECK_THAT(proof.output, Contains("in_flight=9223372036854775807"));
}
