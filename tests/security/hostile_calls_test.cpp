// What a stolen login of the consumer's could call or insert to stop compaction, proof or status
// for everybody, to hide what it wrote, or to end sessions that are not the consumer's.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/security/guarded_bridge.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const std::string kTop = "9223372036854775807";
const std::string kLast = "9223372036854775806";
const std::string kEvents = "homeward_events.audit_events";
const std::string kDayBefore = "((now() AT TIME ZONE 'UTC')::date - 2)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// Rows of an origin, of the day before yesterday.
std::string rows_sql(int origin, const std::string& seqs) {
    return "INSERT INTO " + kEvents +
           " (origin, seq, time, actor, action, resource, outcome)"
           " SELECT " +
           std::to_string(origin) + ", s, " + kDayBefore +
           " + interval '12 h', 'a', 'b', 'c', 'allowed' FROM " + seqs + " AS s;";
}

/// Origin 1 with ten events, all of them rows, and origin 2 without any.
void add_origins(GuardedBridge& guarded) {
    guarded.query_as("bridge",
                     "SELECT homeward.ensure_partitions('homeward_events', 'audit_events',"
                     " ARRAY[" +
                         kDayBefore +
                         "]);"
                         "INSERT INTO homeward.origin (publisher, class, region, app)"
                         " SELECT gen_random_uuid(), 'audit', 'ams', 'shop'"
                         " FROM generate_series(1, 2);" +
                         rows_sql(1, "generate_series(1, 10)") +
                         "SELECT homeward.settle('{1}', '{1}', '{10}', '{10}', '{t}')");
}

void count_day(GuardedBridge& guarded) {
    const Rows begun = guarded.query_as(
        "keeper",
        "SELECT counted_day, attempt FROM homeward.begin_day_count('homeward_events',"
        " 'audit_events', " +
            kDayBefore + ")");
    guarded.query_as("keeper",
                     "SELECT homeward.finish_day_count(" + begun[0][0] + ", " + begun[0][1] + ")");
}

/// What reads the rows of all origins.
void expect_work(GuardedBridge& guarded) {
    // Reservations of a consumer that has died are given up.
    guarded.leader().query(
        "UPDATE homeward.plain_batch SET reserved_at = now() - interval '1 hour'");
    const std::pair<const char*, const char*> all[] = {
        {"keeper", "SELECT homeward.compact()"},
        {"keeper", "SELECT homeward.complete_origins('0')"},
        {"keeper", "SELECT homeward.forget(1)"},
        {"keeper",
         "SELECT * FROM homeward.take_letters(ARRAY(SELECT id FROM homeward.dead_letter))"},
        {"keeper", "SELECT homeward.take_conflict(id) FROM homeward.conflict"},
        {"bridge",
         "SELECT now() - last_seen_at, homeward.seq_count(settled)"
         " FROM homeward.origin_status"},
        {"auditor", "SELECT * FROM homeward.proof"},
        {"auditor", "SELECT homeward.missing_seqs(origin) FROM homeward.origin_status"},
        {"auditor", "SELECT sum(seq_last - seq_first + 1) FROM homeward.plain_gap"},
    };
    for (const auto& [login, sql] : all) {
        INFO(sql);
        CHECK(guarded.refusal(login, sql).empty());
    }
    count_day(guarded);
    CHECK(guarded.query_as("auditor",
                           "SELECT state, committed, missing, duplicated"
                           " FROM homeward.proof WHERE origin = 1") ==
          Rows{{"complete", "10", "0", "0"}});
}

/// One statement each; TOP stands for 2^63 - 1, LAST for the last seq that an origin may have.
const char* const kRefusedToWriter[] = {
    "SELECT homeward.settle('{2}', '{TOP}', '{TOP}', '{1}', '{f}')",
    "SELECT homeward.settle('{2}', '{0}', '{5}', '{5}', '{f}')",
    "SELECT homeward.settle('{2}', '{-9223372036854775808}', '{5}', '{5}', '{f}')",
    "SELECT homeward.settle('{2}', '{1}', '{5}', '{-1}', '{t}')",
    "SELECT homeward.settle('{2}', '{1}', '{5}', '{TOP}', '{t}', '{7}')",
    "SELECT homeward.settle('{2}', '{1}', '{NULL}', '{5}', '{t}')",
    "SELECT * FROM homeward.claim('{3}', '{TOP}', '{TOP}', '{1}', '{f}', '{7}')",
    "SELECT * FROM homeward.claim('{3}', '{0}', '{5}', '{5}', '{f}')",
    "INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason) VALUES (2, 1, TOP, 'x')",
    "INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason) VALUES (2, -5, 5, 'x')",
    "INSERT INTO homeward.heartbeat (origin, accepted, is_closing) VALUES (2, -1, true)",
    "INSERT INTO homeward.heartbeat (origin, accepted, is_closing) VALUES (2, TOP, true)",
    "INSERT INTO homeward.ledger_mark (origin, accepted, closing) VALUES (2, TOP, true)",
    "INSERT INTO homeward.heartbeat (origin, accepted, is_closing, recorded_at)"
    " VALUES (2, 1, true, 'infinity')",
    "INSERT INTO homeward.plain_stream (origin, stream, created, seq_next) VALUES (2, 's', now(), "
    "0)",
    "INSERT INTO homeward.origin (id, publisher, class, region, app) OVERRIDING SYSTEM VALUE"
    " VALUES (1000, gen_random_uuid(), 'audit', 'ams', 'shop')",
    "INSERT INTO homeward.origin (publisher, class, region, app, first_seen)"
    " VALUES (gen_random_uuid(), 'audit', 'ams', 'shop', 'infinity')",
    "INSERT INTO homeward.origin (publisher, class, region, app)"
    " VALUES (gen_random_uuid(), 'audit', repeat('x', 10000), 'shop')",
    "INSERT INTO homeward.dead_letter (origin, seq, reason, payload) VALUES (2, 1, 'x', '')",
    "SELECT homeward.insert_dead_letters('{2}', '{TOP}', '{open}', '{audit}', '{x}', '{x}', '{x}',"
    " '{0}', ARRAY[''])",
    "SELECT homeward.insert_dead_letters('{2}', '{3}', '{open}', '{a}', '{x}', '{x}', '{x}',"
    " '{9223372036854774784}', ARRAY[''])",
    "SELECT homeward.bury('{2}', '{0}', '{open}', '{audit}', '{x}', '{x}', '{x}', '{0}')",
    "INSERT INTO homeward.conflict (origin, seq_first, seq_last, region, app, reason, frame,"
    " frame_sha256, message_time) VALUES (2, 1, TOP, 'ams', 'shop', 'x', '', '', now())",
    "INSERT INTO homeward.conflict (origin, seq_first, seq_last, region, app, reason, frame,"
    " frame_sha256, message_time) VALUES (2, 5, 1, 'ams', 'shop', 'x', '', '', now())",
    "INSERT INTO homeward.conflict (origin, seq_first, seq_last, region, app, reason, frame,"
    " frame_sha256, message_time) VALUES (2, 1, 5, 'ams', 'shop', 'x', '', '', 'infinity')",
    "SELECT homeward.register_plain_source('s', TOP)",
    "SELECT * FROM homeward.claim_plain(2, '{TOP}', '{1}', '{1}')",
    "SELECT homeward.reserve_plain(1, '{1}', '{1}', '{0}', '{0}', '{2}', '{TOP}')",
    "SELECT homeward.reserve_plain(1, '{1}', '{1}', '{0}', '{0}', '{2}', '{0}')",
    "SELECT homeward.reserve_plain(1, '{1}', '{1}', '{0}', '{0}', '{2}', '{-5}')",
    "SELECT homeward.reserve_plain(1, '{1}', '{1}', '{0}', '{0}', '{2}', '{NULL}')",
    "SELECT homeward.reserve_plain(1, '{1}', '{TOP}', '{0}', '{0}', '{2}', '{1}')",
    "SELECT homeward.ensure_partitions('homeward_events', 'audit_events',"
    " ARRAY(SELECT current_date + i FROM generate_series(1, 401) AS i))",
    "INSERT INTO homeward_events.metric_points_packs (origin, seq, time, _time_last, _events, "
    "_times)"
    " VALUES (2, TOP, now(), now(), 2, ARRAY[now(), now()])",
    "SELECT homeward.end_stalled_writers(1000)",
};
const char* const kHarmlessOfWriter[] = {
    "SELECT homeward.settle('{2}', '{1}', '{LAST}', '{LAST}', '{t}')",
    "INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason)"
    " VALUES (2, 1, LAST, 'x'), (2, 2, LAST, 'x')",
    "SELECT homeward.insert_dead_letters('{2,2,2}', '{1,2,LAST}', '{open,open,open}', '{a,a,a}',"
    " '{x,x,x}', '{x,x,x}', '{x,x,x}', '{0,0,9223371000000000000}', ARRAY['', '', ''])",
    "INSERT INTO homeward.heartbeat (origin, accepted, is_closing) VALUES (999, LAST, true)",
    "INSERT INTO homeward.plain_stream (origin, stream, created) VALUES (2, 's', now())",
    "SELECT homeward.register_plain_source('s', 1)",
    "SELECT homeward.reserve_plain(1, '{1}', '{1}', '{0}', '{0}', '{2,2}', '{5,7}')",
    "SELECT homeward.reserve_plain(1, '{2}', '{LAST}', '{1}', '{1}', '{2}', '{1}')",
};
const char* const kRefusedToUpkeep[] = {
    "SELECT homeward.keep_letters('{1}', '{redriven}', '{x}', '{x}')",
    "SELECT homeward.keep_letters('{1}', '{NULL}', '{x}', '{x}')",
    "SELECT homeward.record_plain_acks('s', 1, 1, TOP)",
    "SELECT homeward.record_plain_acks('s', 1, -5, 3)",
    "SELECT homeward.record_plain_acks('s', 1, NULL, 3)",
    "SELECT homeward.claim_rest(2, 1, TOP, 1, false)",
    "SELECT homeward.claim_rest(1, -5, 0, 1, false)",
    "INSERT INTO homeward.heartbeat (origin, accepted, is_closing) VALUES (2, TOP, true)",
    "SELECT homeward.end_stalled_writers(0)",
    "SELECT homeward.end_stalled_writers(NULL)",
};

std::string filled(const char* sql) {
    return replaced(replaced(sql, "TOP", kTop), "LAST", kLast);
}

}  // namespace

TEST_CASE("no row and no argument of the consumer's logins stops the ledger for everybody") {
    GuardedBridge guarded;
    add_origins(guarded);
    for (const char* sql : kHarmlessOfWriter) {
        INFO(sql);
        CHECK(guarded.refusal("bridge", filled(sql)) == "");
    }
    for (const char* sql : kRefusedToWriter) {
        INFO(sql);
        CHECK(!guarded.refusal("bridge", filled(sql)).empty());
    }
    for (const char* sql : kRefusedToUpkeep) {
        INFO(sql);
        CHECK(!guarded.refusal("keeper", filled(sql)).empty());
    }
    CHECK(guarded.refusal("keeper", "SELECT homeward.record_plain_acks('s', 1, 1, " + kLast + ")")
              .empty());
    guarded.query_as("bridge", rows_sql(2, "unnest('{" + kTop +
                                               ",-9223372036854775808,0,5,5}'"
                                               "::int8[])"));
    expect_work(guarded);
    // Again, from the second level of the ledger, and without the day's count.
    guarded.query_as("bridge", rows_sql(2, "unnest('{-9223372036854775807}'::int8[])"));
    expect_work(guarded);
    CHECK(guarded.query_as("auditor", "SELECT duplicated FROM homeward.proof WHERE origin = 2") ==
          Rows{{"6"}});

    auto& environment = guarded.bridge().environment();
    CHECK(guarded.bridge().consumer_command({"dead-letters", "list"}).exit_code == 0);
    CHECK(guarded.bridge().consumer_command({"conflicts", "list"}).exit_code == 0);
    environment["HOMEWARD_POSTGRES_URL"] = guarded.leader().url("auditor");
    const CommandResult proof = guarded.bridge().consumer_command({"proof"});
    CHECK_THAT(proof.output, Contains("proof: emitted="));
}

TEST_CASE("upkeep keeps no letter that is closed") {
    GuardedBridge guarded;
    add_origins(guarded);
    guarded.query_as("bridge",
                     "SELECT homeward.insert_dead_letters('{1}', '{3}', '{open}', '{a}',"
                     " '{x}', '{x}', '{x}', '{0}', ARRAY[''])");
    guarded.query_as("keeper",
                     "SELECT homeward.close_letters('{1}', 'discarded');"
                     "SELECT homeward.keep_letters('{1}', '{open}', '{y}', '{x}')");
    CHECK(guarded.query_as("keeper", "SELECT state, reason FROM homeward.dead_letter") ==
          Rows{{"discarded", "x"}});
}

TEST_CASE("no session's setting hides rows from the proof, or calls missing events in flight") {
    GuardedBridge guarded;
    add_origins(guarded);
    count_day(guarded);
    const std::string ask =
        "SELECT in_flight, missing, duplicated, counted_at IS NOT NULL FROM homeward.proof"
        " WHERE origin = 1";
    CHECK(guarded.query_as("auditor", ask) == Rows{{"0", "0", "0", "t"}});
    guarded.query_as("bridge",
                     "SET homeward.records_late_rows = on;" + rows_sql(1, "generate_series(3, 4)"));
    CHECK(guarded.query_as("auditor", ask) == Rows{{"0", "0", "2", "f"}});

    guarded.query_as("bridge",
                     "INSERT INTO homeward.heartbeat (origin, accepted, is_closing)"
                     " VALUES (1, 15, true)");
    guarded.leader().query(
        "UPDATE homeward.origin SET first_seen = now() - interval '1 day';"
        "UPDATE homeward.ledger_frame SET recorded_at = now() - interval '1 day';"
        "UPDATE homeward.heartbeat SET recorded_at = now() - interval '1 day'");
    CHECK(guarded.query_as("auditor", "SET homeward.missing_after = '2 days'; " + ask) ==
          Rows{{"0", "5", "2", "f"}});
    const std::string longer = "UPDATE homeward.proof_setting SET missing_after = '2 days'";
    for (const char* login : {"bridge", "keeper", "auditor"}) {
        CHECK_THAT(guarded.refusal(login, longer), Contains("permission denied"));
    }
    guarded.query_as("migrator", longer);
    CHECK(guarded.query_as("auditor", ask) == Rows{{"5", "0", "2", "f"}});
}

TEST_CASE("homeward_upkeep ends consumers that are stuck in a COPY, and no other session") {
    // Method: COPY from a FIFO that nobody writes to, by three logins.
    GuardedBridge guarded;
    PostgresServer& leader = guarded.leader();
    leader.query(
        "CREATE ROLE stranger LOGIN; CREATE ROLE redriver LOGIN IN ROLE homeward_upkeep;"
        "CREATE TABLE public.mine (origin int4, seq int8, time timestamptz, actor text);"
        "GRANT INSERT ON public.mine TO stranger");
    ProcessOptions options;
    options.log = guarded.bridge().dir() / "copy.log";
    options.input = guarded.bridge().dir() / "copy.fifo";
    REQUIRE(::mkfifo(options.input.c_str(), 0600) == 0);
    const int opened = ::open(options.input.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(opened >= 0);
    const auto copy = [&](const std::string& login, const std::string& table) {
        return Process({"psql", "-X", "-d", leader.url(login), "-c",
                        "COPY " + table + " (origin, seq, time, actor) FROM STDIN (FORMAT binary)"},
                       options);
    };
    const Process writer = copy("bridge", kEvents);
    const Process redriver = copy("redriver", kEvents);
    const Process stranger = copy("stranger", "public.mine");
    const auto stuck = [&] {
        return leader.query(
            "SELECT usename FROM pg_stat_activity WHERE query LIKE 'COPY %'"
            " AND wait_event = 'ClientRead' ORDER BY 1");
    };
    REQUIRE(wait_until(20s, [&] { return stuck().size() == 3; }));
    sleep_ms(1500);
    CHECK(guarded.query_as("keeper", "SELECT homeward.end_stalled_writers(600000)") == Rows{{"0"}});
    CHECK(guarded.query_as("keeper", "SELECT homeward.end_stalled_writers(1000)") == Rows{{"2"}});
    CHECK(wait_until(20s, [&] { return stuck() == Rows{{"stranger"}}; }));

    CHECK_THAT(guarded.refusal("keeper",
                               "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE usename = 'stranger'"),
               Contains("terminat"));
    CHECK(guarded.query_as("keeper",
                           "SELECT query FROM pg_stat_activity"
                           " WHERE usename = 'stranger'") == Rows{{"<insufficient privilege>"}});
    CHECK_THAT(guarded.refusal("auditor", "SELECT homeward.end_stalled_writers(1000)"),
               Contains("permission denied"));
    ::close(opened);
}
