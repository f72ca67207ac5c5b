// deploy/roles.sql on a real leader: the consumer works as homeward_writer, and whoever takes that
// login can do nothing else with it.

#include "tests/security/guarded_bridge.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

}  // namespace

TEST_CASE("the consumer does all of its work as homeward_writer") {
    GuardedBridge guarded;
    Bridge& bridge = guarded.bridge();
    const CommandResult check = bridge.consumer_command({"check"});
    INFO(check.output);
    CHECK(check.exit_code == 0);
    guarded.leader().query("REVOKE TEMP ON DATABASE postgres FROM PUBLIC");
    bridge.start_consumer();
    {
        // The second one has the ledger asked first.
        FramePublisher sender(bridge.leaf().port(), "ams", "shop");
        const std::string frame = sender.frame(1, 5);
        sender.send(frame);
        sender.send(frame);
        NatsClient client(bridge.leaf().port());
        for (int i = 0; i < 20; ++i) client.publish("homeward.plain.ams.shop", kLine);
        client.publish("homeward.plain.ams.shop", "no JSON");
        client.publish("homeward.plain.ams.shop", R"({"type":"unheard_of"})");
    }
    const bool settled = wait_until(20s, [&] {
        return bridge.leader().number("SELECT count(*) FROM homeward_events.audit_events") == 25 &&
               bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 2;
    });
    INFO(bridge.consumer_log());
    CHECK(settled);
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_skipped_events_total") == 5; }));
    // The housekeeper compacts and looks after partitions and letters with the same rights.
    CHECK(wait_until(30s, [&] {
        return bridge.metric("homeward_dead_letters_waiting{state=\"parked\"}") == 1;
    }));
    CHECK(bridge.metric("homeward_holes_missing") == 0);
    CHECK_THAT(bridge.consumer_log(), !Contains("permission denied"));
    CHECK(bridge.leader().number("SELECT sum(duplicated) + sum(missing) FROM homeward.proof") == 0);
}

TEST_CASE("homeward_writer can neither read events nor change or remove anything") {
    GuardedBridge guarded;
    guarded.leader().query("CREATE TABLE public.customer (name text)");
    for (const char* sql : {
             "SELECT * FROM homeward_events.audit_events",
             "DELETE FROM homeward_events.audit_events",
             "UPDATE homeward_events.audit_events SET actor = 'nobody'",
             "TRUNCATE homeward_events.audit_events",

             "CREATE TABLE homeward_events.mine (a int)",
             "CREATE TABLE homeward.mine (a int)",
             "SELECT payload FROM homeward.dead_letter",
             "DELETE FROM homeward.ledger_frame",
             "UPDATE homeward.ledger SET settled = '{}'",
             "INSERT INTO homeward.ledger (origin) VALUES (1)",
             "UPDATE homeward.origin SET abandoned_at = now()",
             "UPDATE homeward.origin SET abandoned = now()",
             "SELECT * FROM homeward.ledger_mark",
             "INSERT INTO homeward.event_type VALUES ('x', 'audit', 'public', 'x', 'day', 1)",
             "SELECT * FROM public.customer",
             "INSERT INTO public.customer VALUES ('x')",
             "SET ROLE homeward_owner",
             "CREATE SCHEMA mine",
             // The upkeep's.
             "SELECT homeward.compact()",
             "SELECT homeward.complete_origins('0')",
             "SELECT homeward.fold()",
             "SELECT homeward.finish('0')",
             "SELECT homeward.forget(1)",
             "SELECT homeward.take_letters('{1}')",
             "SELECT homeward.close_letters('{1}', 'discarded')",
             "SELECT homeward.close_conflict(1, 'discarded')",
             "SELECT homeward.drop_expired_partition('homeward_events', 'audit_events')",
             "SELECT homeward.release_plain(1)",
             "SELECT FROM homeward.origin_lock_row FOR UPDATE",
         }) {
        INFO(sql);
        CHECK_THAT(guarded.refusal("bridge", sql), Contains("permission denied"));
    }
    // The functions that act with the owner's rights take no table that Homeward did not make.
    CHECK_THAT(guarded.refusal("bridge",
                               "SELECT homeward.ensure_partition('public', 'customer',"
                               " current_date)"),
               Contains("no partitioned event table"));
    // What it settles and does not write shows.
    guarded.query_as("bridge",
                     "INSERT INTO homeward.origin (publisher, class, region, app)"
                     " VALUES (gen_random_uuid(), 'audit', 'ams', 'shop');"
                     "SELECT homeward.settle('{1}', '{1}', '{10}', '{10}', '{f}')");
    CHECK(guarded.leader().number("SELECT sum(missing) FROM homeward.proof") == 10);
}

TEST_CASE("homeward_upkeep compacts and redrives, checks its arguments, and changes no event") {
    GuardedBridge guarded;
    CHECK(guarded.refusal("keeper", "SELECT homeward.compact(), homeward.complete_origins()")
              .empty());
    for (const char* sql : {
             "SELECT homeward.forget(-100000)",
             "SELECT homeward.forget(0)",
             "SELECT homeward.forget(NULL)",
             "SELECT homeward.complete_origins('-1 day')",
             "SELECT homeward.compact(-1)",
             "SELECT homeward.close_letters('{1}', 'open')",
             "SELECT homeward.close_conflict(1, 'open')",
         }) {
        INFO(sql);
        CHECK_THAT(guarded.refusal("keeper", sql),
                   Contains("at least 1") || Contains("negative") || Contains("neither"));
    }
    for (const char* sql : {
             "SELECT * FROM homeward_events.audit_events",
             "DELETE FROM homeward_events.audit_events",
             "DELETE FROM homeward.dead_letter",
             "UPDATE homeward.ledger SET settled = '{}'",
             "SELECT homeward.settle('{1}', '{1}', '{10}', '{10}', '{f}')",
             "CREATE TABLE homeward.mine (a int)",
         }) {
        INFO(sql);
        CHECK_THAT(guarded.refusal("keeper", sql), Contains("permission denied"));
    }
    guarded.leader().query(
        "INSERT INTO homeward.origin (publisher, class, region, app)"
        " VALUES (gen_random_uuid(), 'audit', 'ams', 'shop');"
        "INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload)"
        " SELECT id, 1, 'open', 'audit', 'by hand', convert_to('" +
        std::string(kLine) + "', 'UTF8') FROM homeward.origin");
    const CommandResult redriven =
        guarded.bridge().consumer_command({"dead-letters", "redrive", "--all"});
    CHECK(redriven.output == "found=1 redriven=1 still_dead=0\n");
}

TEST_CASE("the ledger's functions make no temporary tables and use no state of the session") {
    GuardedBridge guarded;
    guarded.leader().query("REVOKE TEMP ON DATABASE postgres FROM PUBLIC");
    CHECK(guarded
              .refusal("bridge",
                       "SELECT * FROM homeward.claim('{1}', '{1}', '{2}', '{2}', '{false}')")
              .empty());
    CHECK_THAT(guarded.refusal("bridge", "CREATE TEMP TABLE mine (a int)"),
               Contains("permission denied"));
    // The isolation level decides whether begin_call() may answer; the block size is the server's.
    CHECK(guarded.leader()
              .query("SELECT s.name FROM (SELECT p.proname AS name, p.prosrc AS text FROM pg_proc p"
                     "  WHERE p.pronamespace = 'homeward'::regnamespace"
                     " UNION ALL SELECT v.viewname, v.definition FROM pg_views v"
                     "  WHERE v.schemaname = 'homeward'"
                     " UNION ALL SELECT t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t) AS s"
                     " WHERE s.text ~* 'temp table|set_config|set +(local|session)"
                     "|current_setting\\((?!''transaction_isolation''|''block_size'')'")
              .empty());
}

TEST_CASE("no login holds up upkeep, schema changes or writing at the next midnight by its locks") {
    // Method: a login without any right takes every advisory lock that a function of v0.1.0 took, a
    // reader holds what it may, and they try to lock the rows that stand in the locks' place.
    GuardedBridge guarded;
    guarded.leader().query("CREATE ROLE stranger LOGIN");
    ProcessOptions quiet;
    quiet.log = guarded.bridge().dir() / "stranger.log";
    const std::string takes_keys =
        "SELECT pg_advisory_lock(hashtext(k)) FROM unnest(ARRAY['homeward.fold',"
        " 'homeward.fold_plain', 'homeward.note_erased', 'homeward.schema']) AS k";
    const std::string takes_pairs =
        "SELECT pg_advisory_lock(hashtext('homeward.partition'), hashtext(k))"
        " FROM unnest(ARRAY['audit_events', 'metric_events']) AS k"
        " UNION ALL SELECT pg_advisory_lock(hashtext('homeward.seal'), b)"
        " FROM generate_series(0, 63) AS b";
    const Process stranger({"psql", "-X", "-d", guarded.leader().url("stranger"), "-c", takes_keys,
                            "-c", takes_pairs, "-c", "SELECT pg_sleep(600)"},
                           quiet);
    const Process reader({"psql", "-X", "-d", guarded.leader().url("auditor"), "-c",
                          "BEGIN; LOCK TABLE homeward.lock_row, homeward.origin_lock_row,"
                          " homeward.ledger, homeward.ledger_frame, homeward_events.audit_events"
                          " IN ACCESS SHARE MODE; SELECT pg_sleep(600)"},
                         quiet);
    REQUIRE(wait_until(20s, [&] {
        return guarded.leader().number(
                   "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 70 &&
               guarded.leader().number(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 2;
    }));
    for (const char* sql :
         {"SELECT FROM homeward.lock_row FOR UPDATE", "SELECT FROM homeward.lock_row FOR KEY SHARE",
          "LOCK TABLE homeward.lock_row IN ROW EXCLUSIVE MODE",
          "SELECT FROM homeward.origin_lock_row FOR KEY SHARE",
          "LOCK TABLE homeward.origin_lock_row IN ROW EXCLUSIVE MODE",
          "SELECT FROM homeward.plain_source FOR KEY SHARE",
          "SELECT FROM homeward.plain_batch FOR KEY SHARE",
          "LOCK TABLE homeward.ledger_frame IN SHARE ROW EXCLUSIVE MODE",
          "LOCK TABLE homeward_events.audit_events IN SHARE MODE",
          "SELECT homeward.await_lock('compact')",
          "LOCK TABLE homeward.migration IN ROW EXCLUSIVE MODE"}) {
        INFO(sql);
        for (const char* login : {"stranger", "auditor", "bridge"}) {
            CHECK_THAT(guarded.refusal(login, sql), Contains("permission denied"));
        }
    }
    guarded.query_as("bridge",
                     "SET lock_timeout = '5s';"
                     "INSERT INTO homeward.origin (publisher, class, region, app)"
                     " VALUES (gen_random_uuid(), 'audit', 'ams', 'shop');"
                     "SELECT homeward.settle('{1}', '{1}', '{10}', '{10}', '{f}', '{7}')");
    guarded.query_as(
        "keeper",
        "SET lock_timeout = '5s'; SELECT homeward.compact(), homeward.complete_origins()");
    CHECK(guarded.leader().number("SELECT count(*) FROM homeward.ledger_frame") == 0);
    CHECK(guarded.query_as("bridge",
                           "SET lock_timeout = '5s'; SELECT homeward.ensure_partitions("
                           "'homeward_events', 'audit_events', ARRAY[current_date + 300])") ==
          Rows{{"1"}});
    CHECK(guarded
              .refusal("migrator",
                       "SET lock_timeout = '5s'; SELECT homeward.record_erased('{1}', '{3}')")
              .empty());
    // A name without a row would lock nothing.
    CHECK_THAT(guarded.refusal("migrator", "SELECT homeward.await_lock('unheard_of')"),
               Contains("there is no lock row \"unheard_of\""));
    guarded.leader().query("COMMENT ON TABLE homeward_events.audit_events IS NULL");
    auto& environment = guarded.bridge().environment();
    environment["HOMEWARD_POSTGRES_OWNER_URL"] = guarded.leader().url("migrator");
    const CommandResult applied = guarded.bridge().consumer_command({"schema", "apply"}, 20s);
    INFO(applied.output);
    CHECK(applied.exit_code == 0);
}

TEST_CASE("homeward_reader sees proof and events, and changes nothing") {
    GuardedBridge guarded;
    CHECK(guarded.refusal("auditor", "SELECT * FROM homeward.proof").empty());
    CHECK(guarded.refusal("auditor", "SELECT * FROM homeward_events.audit_events").empty());
    CHECK(guarded.refusal("auditor", "SELECT * FROM homeward.dead_letter").empty());
    guarded.leader().query(
        "INSERT INTO homeward_events.metric_points (origin, seq, time, name, kind, start_time, sum,"
        " count, scale, zero_count) SELECT 1, i, now(), k, k, now() - interval '1 s', 1, 5, 0, 5"
        " FROM unnest('{counter,histogram}'::text[]) WITH ORDINALITY AS u (k, i)");
    for (const char* sql : {
             "SELECT sum(value) * 60 FROM homeward.rate('counter', '1 min')",
             "SELECT value + 1 FROM homeward.quantile('histogram', 0.5, '1 min')",
             "SELECT count(*) - 1 FROM homeward.metric_series",
             "SELECT count(*) - 1 FROM homeward_events.metric_points_between('-infinity', now())",
         }) {
        INFO(sql);
        CHECK(guarded.query_as("auditor", sql) == Rows{{"1"}});
        CHECK_THAT(guarded.refusal("bridge", sql), Contains("permission denied"));
        CHECK_THAT(guarded.refusal("keeper", sql), Contains("permission denied"));
    }
    for (const char* sql : {
             "SELECT homeward.compact()",
             "SELECT homeward.close_letters('{1}', 'discarded')",
             "SELECT homeward.settle('{1}', '{1}', '{2}', '{2}', '{false}')",
             "INSERT INTO homeward_events.audit_events (origin, seq, time) VALUES (1, 1, now())",
             "DELETE FROM homeward.dead_letter",
         }) {
        INFO(sql);
        CHECK_THAT(guarded.refusal("auditor", sql), Contains("permission denied"));
    }
}

TEST_CASE("a login that may create functions in the reader's path is called by nothing of ours") {
    // Method: its functions fit the arguments better than PostgreSQL's polymorphic ones of the same
    // name, and would be called in their place wherever ours do not say which they mean.
    GuardedBridge guarded;
    guarded.leader().query(
        "SELECT homeward.ensure_partitions('homeward_events', 'metric_points',"
        " ARRAY[current_date - 1]);"
        "INSERT INTO homeward_events.metric_points (origin, seq, time, name, kind, start_time, sum,"
        " count, scale, zero_count, attributes)"
        " SELECT 1, i + 2 * n, now() - least(n, 1) * interval '1 d', k, k,"
        " now() - interval '2 d', 1, 5, 0, 5, '{\"a\": 1}'"
        " FROM unnest('{counter,histogram}'::text[]) WITH ORDINALITY AS u (k, i),"
        " generate_series(0, 8) AS n");
    CHECK(guarded.query_as("migrator",
                           "SELECT homeward.pack_rows('metric_point',"
                           " current_date - 1, 0, 1000)") == Rows{{"16"}});
    guarded.leader().query("CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO stranger");
    for (const char* name :
         {"unnest(text[])", "unnest(int8[])", "unnest(int4[])", "unnest(int8multirange)",
          "unnest(timestamptz[])", "unnest(float8[])", "format(text, text)",
          "format(text, text, text)", "array_to_string(text[], text)",
          "jsonb_build_object(text, text, text, text)", "cardinality(int8[])"}) {
        const std::string set = std::string(name).substr(0, 6) == "unnest" ? "SETOF text" : "text";
        guarded.query_as("stranger", "CREATE FUNCTION public." + std::string(name) + " RETURNS " +
                                         set +
                                         " LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
                                         " 'called as %', current_user; END $$");
    }
    guarded.query_as("stranger",
                     "CREATE FUNCTION public.contains(text[], text[]) RETURNS bool LANGUAGE plpgsql"
                     " AS $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;"
                     "CREATE OPERATOR public.@> (LEFTARG = text[], RIGHTARG = text[],"
                     " FUNCTION = public.contains)");
    CHECK_THAT(guarded.refusal("auditor", "SELECT unnest('{a}'::text[])"),
               Contains("called as auditor"));
    const std::string events = "homeward_events.metric_points";
    for (const std::string& from :
         {std::string("> 0 FROM homeward.rate('counter', '1 d', '{}', '{region}')"),
          std::string("= 1 FROM homeward.quantile('histogram', 0.5, '1 min')"),
          std::string("= 2 FROM homeward.metric_series"), std::string(">= 0 FROM homeward.proof"),
          std::string("= 1 FROM homeward.seq_count('{[1,2)}')"), "= 18 FROM " + events,
          "= 18 FROM " + events + "_between('-infinity', 'infinity')",
          "= 9 FROM " + events + "_by_name('counter')"}) {
        INFO(from);
        CHECK(guarded.query_as("auditor", "SELECT count(*) " + from) == Rows{{"t"}});
    }
    const CommandResult checked = guarded.bridge().consumer_command({"proof"});
    CHECK_THAT(checked.output, !Contains("called as"));
    // The planner inlines these; they name PostgreSQL's schema, or have arguments that fit.
    CHECK(guarded.leader().query("SELECT proname FROM pg_proc p"
                                 " WHERE p.pronamespace = 'homeward'::regnamespace"
                                 " AND prokind = 'f' AND NOT coalesce(pg_catalog.array_to_string("
                                 "proconfig, ' ') LIKE '%search_path=pg_catalog%', false)"
                                 " ORDER BY 1") ==
          Rows{{"histogram_buckets"}, {"seq_sum"}, {"square_sum"}});
}

TEST_CASE("homeward_caller stores how calls ended, and neither reads nor changes them otherwise") {
    GuardedBridge guarded;
    guarded.leader().query("CREATE ROLE shop LOGIN IN ROLE homeward_caller");
    CHECK(guarded.query_as("shop", "SELECT homeward.ensure_call_days()") == Rows{{"3"}});
    const std::string begin = "homeward.begin_call('shop', 'k1', 'ams', 'order.place', 'digest')";
    guarded.query_as("shop",
                     "SELECT homeward.store_call(begun, 'shop', 'k1', 'ok', '', 'reply')"
                     " FROM " +
                         begin);
    CHECK(guarded.query_as("shop", "SELECT operation, outcome, convert_from(reply, 'UTF8') FROM " +
                                       begin) == Rows{{"order.place", "ok", "reply"}});
    for (const char* sql : {
             "SELECT * FROM homeward.forwarded_call",
             "DELETE FROM homeward.forwarded_call",
             "INSERT INTO homeward.call_claim VALUES ('shop', 'k1')",
             "UPDATE homeward.call_retention SET days = 1",
             "SELECT * FROM homeward.origin",
             "SELECT homeward.compact()",
             "SELECT homeward.settle('{1}', '{1}', '{10}', '{10}', '{f}')",
             "SELECT homeward.await_lock('forwarded_call')",
             "CREATE TABLE homeward.mine (a int)",
         }) {
        INFO(sql);
        CHECK_THAT(guarded.refusal("shop", sql), Contains("permission denied"));
    }
    // The consumer's logins have no part in it.
    for (const char* login : {"bridge", "keeper"}) {
        CHECK_THAT(guarded.refusal(login, "SELECT * FROM " + begin), Contains("permission denied"));
    }
    // A day that has passed its retention goes, and the youngest that must stay does not.
    CHECK(guarded.query_as("shop", "SELECT homeward.drop_expired_calls()") == Rows{{""}});
    for (const int age : {8, 7}) {
        const std::string day = "current_date - " + std::to_string(age);
        guarded.leader().query(
            "DO $$ BEGIN EXECUTE format('CREATE TABLE homeward.old_" + std::to_string(age) +
            " PARTITION OF homeward.forwarded_call FOR VALUES FROM (%L) TO (%L)', " + day + ", " +
            day + " + 1); END $$");
    }
    CHECK(guarded.query_as("shop",
                           "SELECT homeward.drop_expired_calls() = (now() AT TIME ZONE"
                           " 'UTC')::date - 8") == Rows{{"t"}});
    CHECK(guarded.query_as("shop", "SELECT homeward.drop_expired_calls()") == Rows{{""}});
    // A retry finds its key on whatever day it comes.
    guarded.leader().query("UPDATE homeward.forwarded_call SET day = current_date - 7");
    CHECK(guarded.query_as("shop", "SELECT outcome FROM " + begin) == Rows{{"ok"}});
    CHECK_THAT(guarded.refusal("shop",
                               "SET default_transaction_isolation = 'repeatable read';"
                               "COMMIT; SELECT * FROM " +
                                   begin),
               Contains("needs READ COMMITTED, not REPEATABLE READ"));
}
