// Dead letters of days without a partition: the partitions are made first, and others do not wait.

#include "tests/consumer/ledger/ledger_database.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// A letter a day from 2025-01-01 on, seqs 1 … `days`.
void add_letters(const LedgerDatabase& ledger, int origin, int days) {
    ledger.ask(
        "INSERT INTO homeward.dead_letter (origin, seq, state, type, reason, payload)"
        " SELECT " +
        std::to_string(origin) +
        ", d + 1, 'open', 'audit', 'its day', convert_to(format("
        "'{\"type\":\"audit\",\"time\":\"%sT12:00:00Z\",\"actor\":\"a\",\"action\":\"b\","
        "\"resource\":\"r\",\"outcome\":\"allowed\"}', date '2025-01-01' + d), 'UTF8')"
        " FROM generate_series(0, " +
        std::to_string(days - 1) + ") AS d");
}

const std::vector<std::string> kRedrive{"dead-letters", "redrive", "--all"};

}  // namespace

TEST_CASE("letters of any number of days without a partition land") {
    // Method: the leader's lock table has room for some 500 locks, and a new partition takes six.
    LedgerDatabase ledger;
    constexpr int kDays = 200;
    const int origin = ledger.add_origin(kDays);
    add_letters(ledger, origin, kDays);
    const CommandResult redriven = ledger.consumer(kRedrive);
    INFO(redriven.output);
    CHECK(redriven.exit_code == 0);
    CHECK(ledger.number("SELECT count(*) FROM audit_events") == kDays);
    CHECK(ledger.ask("SELECT state, count(*) FROM homeward.dead_letter GROUP BY state") ==
          "redriven|" + std::to_string(kDays));
}

TEST_CASE("a redrive that waits for a table keeps no other from making a new day") {
    // Method: somebody locks the day of the first letter, which has its partition; the second's
    // has none.
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(2);
    add_letters(ledger, origin, 2);
    ledger.ask("SELECT homeward.ensure_partition('public', 'audit_events', '2025-01-01')");
    Process holder = ledger.start_psql(
        "BEGIN; LOCK TABLE audit_events_20250101 IN SHARE MODE; SELECT pg_sleep(60)");
    const auto waiting = [&](const std::string& condition) {
        return wait_until(20s, [&] {
            return ledger.number(
                       "SELECT count(*) FROM pg_stat_activity"
                       " WHERE datname = current_database() AND " +
                       condition) == 1;
        });
    };
    REQUIRE(waiting("wait_event = 'PgSleep'"));
    const TempDir dir;
    Process redrive = ledger.start_consumer(kRedrive, dir / "log");
    REQUIRE(waiting("wait_event_type = 'Lock'"));
    ledger.ask(
        "SET lock_timeout = '1s';"
        "SELECT homeward.ensure_partition('public', 'audit_events', '2025-03-01')");
    CHECK(ledger.number("SELECT count(*) FROM audit_events") == 0);
    ledger.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event = 'PgSleep'");
    CHECK(redrive.wait(20s) == 0);
    CHECK(ledger.number("SELECT count(*) FROM audit_events") == 2);
}
