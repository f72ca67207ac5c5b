// Errors of one event, one table, one type, in the middle of everybody's traffic: the culprit alone
// is a dead letter or is held, all others flow, and log, page, metrics and check name it.

#include <signal.h>

#include <algorithm>
#include <sstream>

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

std::int64_t transactions(PostgresServer& leader) {
    return leader.number(
        "SELECT xact_commit FROM pg_stat_database"
        " WHERE datname = current_database()");
}

/// A bridge whose audit table has a trigger: a resource "raise PT429" raises that code, "slow 20"
/// sleeps as many milliseconds.
class FaultyTable {
  public:
    explicit FaultyTable(std::map<std::string, std::string> environment = {},
                         std::vector<std::string> leader_settings = {})
        : bridge_(options(std::move(environment), std::move(leader_settings))) {
        REQUIRE(bridge_.consumer_command({"schema", "apply"}).exit_code == 0);
        leader().query(
            "CREATE FUNCTION obey() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN IF NEW.resource LIKE 'raise %' THEN"
            "   RAISE EXCEPTION 'as told' USING ERRCODE = split_part(NEW.resource, ' ', 2); END IF;"
            " IF NEW.resource LIKE 'slow %' THEN"
            "   PERFORM pg_sleep(split_part(NEW.resource, ' ', 2)::float / 1000); END IF;"
            " RETURN NEW; END $$;"
            "CREATE TRIGGER obey BEFORE INSERT ON audit_events"
            " FOR EACH ROW EXECUTE FUNCTION obey()");
        bridge_.start_consumer();
        sender_.emplace(bridge_.leaf().port(), "ams", "shop");
        plain_.emplace(bridge_.leaf().port());
    }
    Bridge& bridge() { return bridge_; }
    PostgresServer& leader() { return bridge_.leader(); }

    /// One frame of audit events with these resources.
    void send(const std::vector<std::string>& resources) {
        std::vector<std::string> lines;
        for (const std::string& one : resources) lines.push_back(audit_line(one));
        sender_->send(sender_->frame_of(next_, lines));
        next_ += lines.size();
    }
    void send_metric(int value = 1) {
        const std::string number = std::to_string(value);
        plain_->publish(plain_subject("ams", "gauges"), R"({"type":"metric","name":"m)" + number +
                                                            R"(","kind":"gauge","value":)" +
                                                            number + "}");
    }
    bool has_rows(std::int64_t count) {
        return wait_until(30s, [&] { return rows(leader()) == count; });
    }
    bool has_metrics(std::int64_t count) {
        return wait_until(
            15s, [&] { return leader().number("SELECT count(*) FROM metric_events") == count; });
    }
    bool has_dead(const std::string& sqlstate, std::int64_t count = 1) {
        return wait_until(30s, [&] {
            return leader().number("SELECT count(*) FROM homeward.dead_letter WHERE sqlstate = '" +
                                   sqlstate + "'") == count;
        });
    }
    const PublisherId& publisher() const { return sender_->publisher; }
    bool is_held(const std::string& type) {
        return bridge_.metric("homeward_held{kind=\"type\",name=\"" + type + "\"}") == 1;
    }

  private:
    static BridgeOptions options(std::map<std::string, std::string> environment,
                                 std::vector<std::string> leader_settings) {
        BridgeOptions options;
        options.leader_settings = std::move(leader_settings);
        options.environment = std::move(environment);
        options.environment["HOMEWARD_BATCH_DELAY_MS"] = "0";
        return options;
    }

    Bridge bridge_;
    std::optional<FramePublisher> sender_;
    std::optional<NatsClient> plain_;
    std::uint64_t next_ = 1;
};

}  // namespace

TEST_CASE(
    "whatever SQLSTATE hits single events while others pass makes dead letters of just these") {
    FaultyTable leader;
    std::int64_t good = 0;
    for (const char* code : {"PT429", "UE001", "42703", "XX000", "HV000"}) {
        INFO(code);
        const std::string bad = std::string("raise ") + code;
        leader.send({"a", bad, "b", "c", bad, "d"});
        good += 4;
        CHECK(leader.has_rows(good));
        CHECK(leader.has_dead(code, 2));
        CHECK(leader.bridge().metric("homeward_paused") == 0);
    }
    expect_clean(leader.bridge());
}

TEST_CASE(
    "an event that fails alone is tried again, holds its type only, and ends as a dead letter") {
    FaultyTable leader;
    leader.send({"raise UE001"});
    // Three tries, 1 and 2 s apart; meanwhile other types are written.
    CHECK(wait_until(30s, [&] { return leader.is_held("audit"); }));
    CHECK(dead_letters(leader.leader()) == 0);
    CHECK(leader.bridge().metric("homeward_paused") == 0);
    leader.send_metric();
    CHECK(leader.has_metrics(1));
    CHECK_THAT(leader.bridge().consumer_log(),
               Contains("event type \"audit\" is held") && Contains("as told [UE001]"));
    CHECK_THAT(leader.bridge().admin("/status.json"),
               Contains("Events of type audit are held") && Contains("UE001"));

    // Another row of the type passes: so the first is to blame.
    leader.send({"fine"});
    CHECK(leader.has_rows(1));
    CHECK(wait_until(10s, [&] { return !leader.is_held("audit"); }));
    CHECK(leader.has_dead("UE001"));
    expect_clean(leader.bridge());
}

TEST_CASE("a batch that exceeds the statement timeout is written in smaller pieces") {
    const std::string name = "HOMEWARD_POSTGRES_STATEMENT_TIMEOUT_MS";
    FaultyTable leader(std::map<std::string, std::string>{{name, "1000"}});
    leader.send(std::vector<std::string>(200, "slow 20"));  // 4 s of work
    CHECK(leader.has_rows(200));
    CHECK(dead_letters(leader.leader()) == 0);
    leader.send(std::vector<std::string>(200, "fine"));
    CHECK(leader.has_rows(400));
    expect_clean(leader.bridge());
}

TEST_CASE("schema drift holds that table alone, is named, makes no dead letter, and heals") {
    FaultyTable leader;
    leader.send({"before"});
    leader.send_metric();
    REQUIRE(leader.has_rows(1));
    REQUIRE(leader.has_metrics(1));

    SECTION("a column of another type") {
        const auto altered = std::chrono::steady_clock::now();
        leader.leader().query("ALTER TABLE metric_events ALTER COLUMN value TYPE real");
        for (int i = 0; i < 5; ++i) leader.send_metric();
        CHECK(wait_until(20s, [&] { return leader.is_held("metric"); }));
        leader.send({"meanwhile"});
        CHECK(leader.has_rows(2));
        CHECK(dead_letters(leader.leader()) == 0);
        CHECK(leader.bridge().metric("homeward_paused") == 0);
        const CommandResult check = leader.bridge().consumer_command({"check"});
        CHECK(check.exit_code != 0);
        CHECK_THAT(check.output, Contains("column \"value\" of public.metric_events is real"));
        CHECK_THAT(leader.bridge().admin("/status.json"),
                   Contains("Events of type metric are held"));

        // A consumer that starts now writes all others, too.
        CHECK(leader.bridge().stop_consumer() == 0);
        leader.bridge().start_consumer();
        leader.send({"after a start"});
        CHECK(leader.has_rows(3));

        leader.leader().query("ALTER TABLE metric_events ALTER COLUMN value TYPE double precision");
        // Held messages come again after twice as long each time: as late again as all that was.
        const auto held_for = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - altered);
        CHECK(wait_until(40s + held_for, [&] {
            return leader.leader().number("SELECT count(*) FROM metric_events") == 6;
        }));
        CHECK(wait_until(10s, [&] { return !leader.is_held("metric"); }));
    }
    SECTION("NOT NULL on a column that events need not have") {
        leader.leader().query(
            "UPDATE metric_events SET extra = '{}';"
            "ALTER TABLE metric_events ALTER COLUMN extra SET NOT NULL");
        leader.send_metric();
        CHECK(wait_until(20s, [&] { return leader.is_held("metric"); }));
        CHECK(dead_letters(leader.leader()) == 0);
        const CommandResult check = leader.bridge().consumer_command({"check"});
        CHECK(check.exit_code != 0);
        CHECK_THAT(check.output, Contains("\"extra\" of public.metric_events is NOT NULL"));
        leader.leader().query("ALTER TABLE metric_events ALTER COLUMN extra DROP NOT NULL");
        CHECK(leader.has_metrics(2));
    }
    SECTION("a column of another type of as many bytes, which refuses nothing") {
        leader.leader().query("ALTER TABLE metric_events ALTER COLUMN value TYPE bigint");
        leader.send_metric();
        CHECK(wait_until(20s, [&] { return leader.is_held("metric"); }));
        leader.send({"meanwhile"});
        CHECK(leader.has_rows(2));
        // Nor does a dead letter land in it.
        leader.leader().query(
            "INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload)"
            " SELECT id, 1000, 'open', 'metric', 'by hand', convert_to("
            "'{\"type\":\"metric\",\"name\":\"m\",\"kind\":\"gauge\",\"value\":1}', 'UTF8')"
            " FROM homeward.origin WHERE class = 'plain'");
        const std::vector<std::string> redrive = {"dead-letters", "redrive", "--all"};
        const CommandResult refused = leader.bridge().consumer_command(redrive);
        CHECK(refused.exit_code != 0);
        CHECK_THAT(refused.output, Contains("column \"value\" of public.metric_events is bigint"));
        leader.leader().query("ALTER TABLE metric_events ALTER COLUMN value TYPE double precision");
        CHECK(leader.bridge().consumer_command(redrive).exit_code == 0);
        CHECK(leader.has_metrics(3));
        CHECK(leader.leader().number("SELECT sum(value)::int8 FROM metric_events") == 3);
        leader.leader().query("DELETE FROM homeward.dead_letter");
        CHECK(wait_until(10s, [&] { return !leader.is_held("metric"); }));
    }
    SECTION("a column of another type that reads more bytes than there are") {
        // PostgreSQL calls that a broken protocol (08P01), as if the connection were at fault.
        leader.leader().query("ALTER TABLE audit_events ALTER COLUMN actor TYPE integer USING 0");
        leader.send({"waits"});
        CHECK(wait_until(20s, [&] { return leader.is_held("audit"); }));
        leader.send_metric();
        CHECK(leader.has_metrics(2));
        leader.leader().query("ALTER TABLE audit_events ALTER COLUMN actor TYPE text USING actor");
        CHECK(leader.has_rows(2));
    }
    SECTION("a new NOT NULL column") {
        leader.leader().query(
            "TRUNCATE audit_events; ALTER TABLE audit_events ADD COLUMN tenant text NOT NULL");
        leader.send(std::vector<std::string>(50, "waits"));
        CHECK(wait_until(20s, [&] { return leader.is_held("audit"); }));
        leader.send_metric();
        CHECK(leader.has_metrics(2));
        CHECK(dead_letters(leader.leader()) == 0);
        const CommandResult check = leader.bridge().consumer_command({"check"});
        CHECK_THAT(check.output, Contains("column \"tenant\" of public.audit_events is NOT NULL"));
        leader.leader().query("ALTER TABLE audit_events ALTER COLUMN tenant DROP NOT NULL");
        CHECK(leader.has_rows(50));
    }
    CHECK(dead_letters(leader.leader()) == 0);
}

TEST_CASE("a column altered back and forth in a stream never gets a value of another type") {
    // Method: each event has its value in its name as well. Eight bytes fit double precision and
    // bigint alike, so only the catalog shows what the column is when a row arrives.
    constexpr int kEvents = 400;
    FaultyTable leader;
    const auto alter = [&](const char* type) {
        leader.leader().query(std::string("ALTER TABLE metric_events ALTER COLUMN value TYPE ") +
                              type);
    };
    for (int i = 1; i <= kEvents; ++i) {
        if (i % 100 == 25) alter("bigint");
        if (i % 100 == 75) alter("double precision");
        leader.send_metric(i);
        sleep_ms(5);
    }
    CHECK(wait_until(60s, [&] {
        return leader.leader().number("SELECT count(*) FROM metric_events") == kEvents;
    }));
    CHECK(leader.leader().number("SELECT count(*) FROM metric_events WHERE name <> 'm' || value") ==
          0);
    CHECK(leader.leader().number("SELECT count(DISTINCT name) FROM metric_events") == kEvents);
    CHECK(dead_letters(leader.leader()) == 0);
    CHECK_THAT(leader.bridge().consumer_log(), Contains("event type \"metric\" is held"));
    CHECK(wait_until(10s, [&] { return !leader.is_held("metric"); }));
}

TEST_CASE("very many refused rows are isolated in several transactions, and few COPYs a row") {
    // Method: thirty frames of a hundred rows in one batch, every other row refused; then a frame
    // of two thousand that are all refused.
    FaultyTable leader({{"HOMEWARD_BATCH_BAD_EVENTS_MAX", "100000"}},
                       {"log_statement = 'all'", "log_line_prefix = '%p '"});
    std::vector<std::string> resources;
    for (int i = 0; i < 50; ++i) resources.insert(resources.end(), {"good", "raise P0001"});
    leader.bridge().consumer().signal(SIGSTOP);
    for (int i = 0; i < 30; ++i) leader.send(resources);
    leader.bridge().consumer().signal(SIGCONT);
    CHECK(leader.has_rows(1'500));
    CHECK(leader.has_dead("P0001", 1'500));
    leader.send(std::vector<std::string>(2'000, "raise P0001"));
    CHECK(leader.has_dead("P0001", 30 * 50 + 2'000));

    // Savepoints in a row without a COMMIT or ROLLBACK, each of which is one COPY.
    std::map<std::string, int> pending;
    int most = 0;
    int all = 0;
    std::istringstream lines(leader.leader().log());
    for (std::string line; std::getline(lines, line);) {
        const std::string pid = line.substr(0, line.find(' '));
        if (line.find("statement: SAVEPOINT") != std::string::npos) {
            most = std::max(most, ++pending[pid]);
            ++all;
        } else if (line.find("COMMIT") != std::string::npos ||
                   line.find("statement: ROLLBACK;") != std::string::npos ||
                   line.find("statement: BEGIN") != std::string::npos) {
            pending[pid] = 0;
        }
    }
    INFO(all << " in all");
    CHECK(most > 100);
    CHECK(most <= 2'100);  // of the one frame, that cannot be split
    CHECK(all < 3 * 3'500);
    expect_clean(leader.bridge());
}

TEST_CASE(
    "a ledger that objects again and again is asked in growing intervals, and a stop ends it") {
    FaultyTable leader;
    leader.leader().query(
        "CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'settled' USING ERRCODE = 'HW001'; END $$;"
        "CREATE TRIGGER object BEFORE INSERT ON homeward.ledger_frame"
        " FOR EACH ROW EXECUTE FUNCTION object()");
    leader.bridge().consumer().signal(SIGSTOP);
    leader.send({"a"});
    FramePublisher stranger(leader.bridge().leaf().port(), "ams", "other");
    stranger.publisher = leader.publisher();
    stranger.send(stranger.frame(100, 1));
    leader.bridge().consumer().signal(SIGCONT);
    const auto redos = [&] { return leader.bridge().metric("homeward_redos_total"); };
    CHECK(wait_until(30s, [&] { return redos() >= 4; }));
    sleep_ms(3'000);
    CHECK(redos() < 20);
    const auto stopped = std::chrono::steady_clock::now();
    CHECK(leader.bridge().stop_consumer() == 0);
    CHECK(std::chrono::steady_clock::now() - stopped < 5s);

    leader.leader().query("DROP TRIGGER object ON homeward.ledger_frame");
    leader.bridge().start_consumer();
    CHECK(leader.has_rows(1));
    CHECK(wait_until(30s, [&] { return conflicts(leader.leader()) == 1; }));
    CHECK(leader.bridge().metric("homeward_conflicts_total") <= 1);
}

TEST_CASE("a flood of new publishers costs no transaction for each") {
    // Method: 2,000 frames of as many publisher ids wait, behind them one event of another app.
    // Registered one by one they would take a transaction each, and one more each for the batch.
    constexpr std::int64_t kPublishers = 2'000;
    Bridge bridge;
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    FramePublisher flood(bridge.leaf().port(), "ams", "flood");
    for (int i = 0; i < kPublishers; ++i) {
        flood.publisher = PublisherId::random();
        flood.send(flood.frame(1, 1));
    }
    FramePublisher shop(bridge.leaf().port(), "ams", "shop");
    shop.send(shop.frame(1, 1));
    const std::int64_t before = transactions(bridge.leader());
    bridge.start_consumer();
    CHECK(wait_until(30s, [&] {
        return bridge.leader().number("SELECT count(*) FROM audit_events") == kPublishers + 1;
    }));
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.origin WHERE class = 'audit'") ==
          kPublishers + 1);
    CHECK(bridge.stop_consumer() == 0);  // so that its sessions have told what they did
    CHECK(transactions(bridge.leader()) - before < kPublishers / 2);
}
