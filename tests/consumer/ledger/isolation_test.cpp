// Errors of one event, one table, one type, in the middle of everybody's traffic: the culprit alone
// is a dead letter or is held, all others flow, and log, page, metrics and check name it.

#include "schemas/subject.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_sender.hpp"
#include "tests/support/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// A bridge whose audit table has a trigger: a resource "raise PT429" raises that code, "slow 20"
/// sleeps as many milliseconds.
class FaultyTable {
  public:
    explicit FaultyTable(std::map<std::string, std::string> environment = {})
        : bridge_(options(std::move(environment))) {
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
    void send_metric() {
        plain_->publish(plain_subject("ams", "gauges"),
                        R"({"type":"metric","name":"m","kind":"gauge","value":1})");
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
    bool is_held(const std::string& type) {
        return bridge_.metric("homeward_held{kind=\"type\",name=\"" + type + "\"}") == 1;
    }

  private:
    static BridgeOptions options(std::map<std::string, std::string> environment) {
        BridgeOptions options;
        options.environment = std::move(environment);
        options.environment["HOMEWARD_BATCH_DELAY_MS"] = "0";
        return options;
    }

    Bridge bridge_;
    std::optional<FrameSender> sender_;
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
        CHECK(wait_until(40s, [&] {
            return leader.leader().number("SELECT count(*) FROM metric_events") == 6;
        }));
        CHECK(wait_until(10s, [&] { return !leader.is_held("metric"); }));
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
