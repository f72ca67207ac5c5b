// The ledger's functions on a real leader, where numbers matter that no consumer reaches in a
// test's time: many origins, many frames, an old snapshot.

#include <algorithm>
#include <cstdio>

#include "tests/support/catch.hpp"
#include "tests/support/servers/postgres_server.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

class Ledger {
  public:
    Ledger() { REQUIRE(consumer({"schema", "apply"}).exit_code == 0); }

    CommandResult consumer(const std::vector<std::string>& words) {
        std::vector<std::string> command{HOMEWARD_CONSUMER_PROGRAM};
        command.insert(command.end(), words.begin(), words.end());
        ProcessOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_URL", leader.url()},
                               {"HOMEWARD_SOURCES", "ams"}};
        return run_command(command, options);
    }
    void add_origins(int count) {
        leader.query(
            "INSERT INTO homeward.origin (publisher, class, region, app)"
            " SELECT gen_random_uuid(), 'audit', 'ams', 'shop'"
            " FROM generate_series(1, " +
            std::to_string(count) + ")");
    }
    /// One frame of 100 seqs for each origin that has none, its last.
    void settle_all() {
        leader.query(
            "SELECT homeward.settle(array_agg(id), array_agg(1::int8),"
            " array_agg(100::int8), array_agg(100::int8), array_agg(true))"
            " FROM homeward.origin o WHERE NOT EXISTS"
            " (SELECT FROM homeward.ledger l WHERE l.origin = o.id)");
    }
    /// "" when it is settled, else what the ledger objects.
    std::string settle(int origin, int first, int last) {
        try {
            leader.query("SELECT homeward.settle(" + frame(origin, first, last) + ")");
            return "";
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }
    std::string verdict(int origin, int first, int last) {
        return leader.query("SELECT verdict FROM homeward.claim(" + frame(origin, first, last) +
                            ")")[0][0];
    }
    double seconds(const std::string& sql) {
        const auto started = std::chrono::steady_clock::now();
        leader.query(sql);
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    }
    void grow_old() {
        leader.query("UPDATE homeward.ledger SET last_seen_at = now() - interval '1 hour'");
    }
    std::int64_t bytes() {
        leader.query("VACUUM");
        return leader.number(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
            " WHERE relnamespace = 'homeward'::regnamespace AND relkind = 'r'");
    }
    /// As the ledger's functions take it.
    static std::string frame(int origin, int first, int last) {
        const auto one = [](int n) { return "'{" + std::to_string(n) + "}', "; };
        return one(origin) + one(first) + one(last) + one(last) + "'{false}'";
    }
    PostgresServer leader;
};

}  // namespace

TEST_CASE("an origin that has ended and is whole keeps 150 bytes, and knows its frames by them") {
    Ledger ledger;
    constexpr int kWave = 10'000;
    const auto finish_wave = [&] {
        ledger.add_origins(kWave);
        ledger.settle_all();
        ledger.leader.query("SELECT homeward.compact()");
        CHECK(ledger.leader.number("SELECT homeward.complete_origins()") ==
              0);  // heard of just now
        ledger.grow_old();
        CHECK(ledger.leader.number("SELECT homeward.complete_origins()") == kWave);
        return ledger.bytes();
    };
    // What the first two leave empty (a page of an index is free one VACUUM later) all others fill.
    finish_wave();
    const std::int64_t before = finish_wave();
    finish_wave();
    const double bytes = static_cast<double>(finish_wave() - before) / (2 * kWave);
    std::printf("%.0f bytes a finished origin\n", bytes);
    CHECK(bytes <= 150);
    CHECK(ledger.leader.number("SELECT count(*) FROM homeward.origin") == 0);
    CHECK(ledger.leader.query("SELECT DISTINCT class, region, app, homeward.seq_count(settled),"
                              " accepted, is_closed FROM homeward.origin_status") ==
          Rows{{"audit", "ams", "shop", "100", "100", "t"}});

    // Some consumer still knows its number; or looks for its publisher.
    CHECK_THAT(ledger.settle(7, 1, 100), Contains("are settled already"));
    CHECK_THAT(ledger.settle(7, 51, 150), Contains("are settled already"));
    CHECK(ledger.verdict(7, 1, 100) == "settled");
    CHECK(ledger.verdict(7, 51, 150) == "overlap");
    CHECK(ledger.leader.number(
              "SELECT count(*) FROM homeward.known_origin k JOIN"
              " homeward.completed_origin f USING (publisher) WHERE k.id = f.origin") ==
          4L * kWave);

    CHECK(ledger.leader.number("SELECT homeward.forget(1)") == 0);
    ledger.leader.query(
        "UPDATE homeward.completed_origin SET completed_on = completed_on - 2"
        " WHERE origin = 7");
    ledger.leader.query("INSERT INTO homeward.tombstone VALUES (7, 1, 1, 'dropped')");
    CHECK(ledger.leader.number("SELECT homeward.forget(1)") == 1);
    CHECK(ledger.leader.number("SELECT count(*) FROM homeward.tombstone") == 0);
    CHECK(ledger.settle(7, 1, 100).empty());  // as the README says: it would land again
}

TEST_CASE("what has a hole, a letter that waits or no end-of-stream frame is not finished") {
    Ledger ledger;
    ledger.add_origins(4);
    ledger.leader.query(
        "SELECT homeward.settle('{1,2,3,4}', '{1,1,1,2}', '{10,10,10,10}',"
        " '{10,10,10,10}', '{true,false,true,true}')");
    ledger.leader.query(
        "INSERT INTO homeward.dead_letter (origin, seq, reason, payload)"
        " VALUES (3, 5, 'bad', '')");
    ledger.leader.query("SELECT homeward.compact()");
    ledger.grow_old();
    CHECK(ledger.leader.number("SELECT homeward.complete_origins()") == 1);
    CHECK(ledger.leader.query("SELECT origin FROM homeward.completed_origin") == Rows{{"1"}});
    ledger.leader.query("UPDATE homeward.dead_letter SET state = 'discarded'");
    CHECK(ledger.leader.number("SELECT homeward.complete_origins()") == 1);
    CHECK(ledger.leader.query("SELECT max(origin) FROM homeward.completed_origin") == Rows{{"3"}});
}

TEST_CASE(
    "a frame that a compaction is just moving is found behind the compaction, by settle and by "
    "claim") {
    // Method: the compaction's transaction stays open; whoever comes with the same frame waits for
    // it, and must then look with eyes that see what it has moved.
    Ledger ledger;
    ledger.add_origins(1);
    const bool is_careful = GENERATE(false, true);
    REQUIRE(ledger.settle(1, 1, 10).empty());
    Process compaction({"psql", "-q", ledger.leader.url(), "-c",
                        "BEGIN; SELECT homeward.compact(); SELECT pg_sleep(2); COMMIT"},
                       {.log = "/dev/null"});
    REQUIRE(wait_until(20s, [&] {
        return ledger.leader.number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE wait_event = 'PgSleep'") == 1;
    }));
    if (is_careful) {
        CHECK(ledger.verdict(1, 1, 10) == "settled");
    } else {
        CHECK_THAT(ledger.settle(1, 1, 10), Contains("are settled already"));
    }
    CHECK(compaction.wait(20s) == 0);  // so it was waited for
    CHECK(ledger.leader.number("SELECT count(*) FROM homeward.ledger_frame") == 0);
}

TEST_CASE(
    "of two transactions that settle overlapping seqs at once, under different keys, one fails") {
    // Method: the first stays open behind its last statement; the other must wait for it, and then
    // see what it has settled. The same for one that has claimed, and looks again before COMMIT.
    Ledger ledger;
    ledger.add_origins(2);
    const auto sleeps = [&] {
        return ledger.leader.number(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1;
    };
    const auto open_transaction = [&](const std::string& statements) {
        return Process({"psql", "-q", "-v", "ON_ERROR_STOP=1", ledger.leader.url(), "-c",
                        "SET client_min_messages = warning; BEGIN; " + statements + "COMMIT"},
                       {.log = "/dev/null"});
    };
    SECTION("both settle") {
        Process first = open_transaction("SELECT homeward.settle(" + Ledger::frame(1, 1, 10) +
                                         "); SELECT pg_sleep(2); ");
        REQUIRE(wait_until(20s, sleeps));
        CHECK(ledger.settle(2, 1, 10).empty());
        CHECK_THAT(ledger.settle(1, 6, 15), Contains("are settled already"));
        CHECK(first.wait(20s) == 0);
    }
    SECTION("one has claimed") {
        Process first =
            open_transaction("SELECT homeward.claim(" + Ledger::frame(1, 1, 10) +
                             "); SELECT pg_sleep(2); SELECT homeward.check_no_overlap('{1}', '{1}',"
                             " '{10}'); ");
        REQUIRE(wait_until(20s, sleeps));
        CHECK(ledger.settle(1, 6, 15).empty());
        CHECK(first.wait(20s) != 0);
        CHECK(ledger.verdict(1, 1, 10) == "overlap");
    }
    ledger.leader.query("SELECT homeward.compact()");
    CHECK(ledger.leader.number("SELECT homeward.seq_count(settled) FROM homeward.ledger"
                               " WHERE origin = 1") == 10);
}

TEST_CASE(
    "an old snapshot makes neither settle nor claim slow, however much was compacted under it") {
    // Method: 60,000 frames of one event each are settled and compacted while a snapshot is held,
    // so that their entries in the index stay. Compared with an origin of which nothing was
    // compacted.
    Ledger ledger;
    ledger.add_origins(2);
    Process snapshot({"psql", "-q", ledger.leader.url(), "-c",
                      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT pg_sleep(300)"},
                     {.log = "/dev/null"});
    REQUIRE(wait_until(20s, [&] {
        return ledger.leader.number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE wait_event = 'PgSleep'") == 1;
    }));
    constexpr int kFrames = 60'000;
    for (int first = 1; first < kFrames; first += 10'000) {
        ledger.leader.query(
            "SELECT homeward.settle(array_agg(1), array_agg(s), array_agg(s),"
            " array_agg(s), array_agg(false)) FROM generate_series(" +
            std::to_string(first) + "::int8, " + std::to_string(first + 9'999) + ") AS s");
        ledger.leader.query("SELECT homeward.compact()");
    }
    // Downwards, so that each looks back on what was compacted, and not on the one before it.
    const auto cost = [&](const std::string& function, int origin) {
        return ledger.seconds(
            "SET client_min_messages = warning; DO $$ BEGIN FOR i IN 1 .. 100 LOOP PERFORM "
            "homeward." +
            function + "(ARRAY[" + std::to_string(origin) + "], ARRAY[" + std::to_string(kFrames) +
            " + 101 - i]::int8[], ARRAY[" + std::to_string(kFrames) +
            " + 101 - i]::int8[], '{1}', '{false}');"
            " END LOOP; END $$");
    };
    // The best of a few: a loaded machine can only add to what it costs.
    const auto best_cost = [&](const char* function, int origin) {
        double best = 1e9;
        for (int i = 0; i < 5; ++i) {
            best = std::min(best, cost(function, origin));
            ledger.leader.query("DELETE FROM homeward.ledger_frame");
        }
        return best;
    };
    for (const char* function : {"settle", "claim"}) {
        const double with_history = best_cost(function, 1);
        const double without = best_cost(function, 2);
        std::printf("%s of 100 frames: %.1f ms behind %d compacted ones, %.1f ms without\n",
                    function, with_history * 1e3, kFrames, without * 1e3);
        CHECK(with_history < 10 * without);
    }
    CHECK(snapshot.is_running());
}

TEST_CASE("tiny frames that come again cost a few index entries each, however many are recent") {
    // Method: PostgreSQL counts the entries of table and indexes that one transaction reads. 60,000
    // frames of one event are settled and not compacted; every other one of the last 8,000 comes
    // again, and so do as many that follow one another.
    Ledger ledger;
    ledger.add_origins(1);
    constexpr int kSettled = 60'000, kAgain = 4'000, kEntriesMax = 10;
    const auto frames = [](int first, int last, int step) {
        return "(array_agg(1), array_agg(s), array_agg(s), array_agg(s), array_agg(false),"
               " array_agg(0)) FROM generate_series(" +
               std::to_string(first) + "::int8, " + std::to_string(last) + ", " +
               std::to_string(step) + ") AS s";
    };
    for (int first = 1; first < kSettled; first += 10'000) {
        ledger.leader.query("SELECT homeward.settle" + frames(first, first + 9'999, 1));
    }
    for (const int step : {1, 2}) {
        const auto read = ledger.leader.number(
            "SET client_min_messages = warning; DO $$ BEGIN PERFORM homeward.claim" +
            frames(kSettled - step * kAgain + 1, kSettled, step) +
            "; END $$; SELECT sum(pg_stat_get_xact_tuples_returned(t.id)) FROM"
            " (SELECT 'homeward.ledger_frame'::regclass::oid AS id UNION ALL"
            "  SELECT indexrelid FROM pg_index"
            "  WHERE indrelid = 'homeward.ledger_frame'::regclass) AS t");
        std::printf("%d frames, %d apart: %jd entries read\n", kAgain, step,
                    static_cast<std::intmax_t>(read));
        CHECK(read >= kAgain);
        CHECK(read <= long{kEntriesMax} * kAgain);
    }
}

TEST_CASE("a compaction costs what has come since the last one, not what there is") {
    Ledger ledger;
    const auto fold_of_1000 = [&](int first_seq) {
        const std::string seq = std::to_string(first_seq);
        ledger.leader.query("SELECT homeward.settle(array_agg(id), array_agg(" + seq +
                            "::int8), array_agg(" + seq + "::int8), array_agg(" + seq +
                            "::int8), array_agg(false)) FROM"
                            " (SELECT id FROM homeward.origin ORDER BY id LIMIT 1000) AS o");
        return ledger.seconds("SELECT homeward.compact()");
    };
    ledger.add_origins(1'000);
    ledger.settle_all();
    ledger.leader.query("SELECT homeward.compact()");
    ledger.leader.query("VACUUM ANALYZE");
    // The best of a few: a loaded machine can only add to what it costs.
    const auto best_fold = [&](int first_seq) {
        return std::min({fold_of_1000(first_seq), fold_of_1000(first_seq + 1),
                         fold_of_1000(first_seq + 2), fold_of_1000(first_seq + 3)});
    };
    const double among_few = best_fold(101);
    ledger.add_origins(100'000);
    ledger.settle_all();
    CHECK(ledger.leader.number("SELECT homeward.compact()") == 100'000);
    ledger.leader.query("VACUUM ANALYZE");
    const double among_many = best_fold(105);
    std::printf("compaction of 1,000 frames: %.1f ms among 1,000 origins, %.1f ms among 101,000\n",
                among_few * 1e3, among_many * 1e3);
    CHECK(among_many < 10 * among_few + 0.05);
}

TEST_CASE("an open origin is abandoned by a person's word, a complete or an active one is not") {
    Ledger ledger;
    ledger.add_origins(3);
    ledger.leader.query(
        "INSERT INTO homeward.heartbeat (origin, accepted, is_closing)"
        " VALUES (1, 5, false), (2, 0, true)");
    const auto abandon = [&](const std::string& whom) {
        return ledger.consumer({"proof", "abandon", whom});
    };
    CHECK_THAT(abandon("1").output, Contains("in the last 3 minutes: not abandoned"));
    ledger.leader.query("SELECT homeward.compact()");
    ledger.grow_old();
    ledger.leader.query("UPDATE homeward.origin SET first_seen = now() - interval '1 hour'");
    CHECK_THAT(abandon("2").output, Contains("complete: there is nothing to give up"));
    CHECK(abandon("2").exit_code == 1);
    CHECK(abandon("77").exit_code == 1);
    for (const char* nobody : {"%", "%%%%%%%%", "________", "--------"}) {
        CHECK(abandon(nobody).exit_code == 1);
    }
    CHECK(ledger.consumer({"proof", "abandon"}).exit_code == 2);
    const std::string publisher =
        ledger.leader.query("SELECT publisher FROM homeward.origin WHERE id = 1")[0][0];
    const CommandResult done = abandon(publisher.substr(0, 13));
    CHECK_THAT(done.output, Contains("origin 1") && Contains("5 events that are known of"));
    CHECK(done.exit_code == 0);
    CHECK(ledger.leader.query("SELECT origin, state, missing FROM homeward.proof"
                              " ORDER BY origin") ==
          Rows{{"1", "abandoned", "5"}, {"2", "complete", "0"}, {"3", "open", "0"}});
    CHECK(ledger.leader.number("SELECT homeward.forget(1)") == 0);
    ledger.leader.query(
        "UPDATE homeward.origin SET abandoned_at = now() - interval '3 days'"
        " WHERE id = 1");
    CHECK(ledger.leader.number("SELECT homeward.forget(1)") == 1);
}
