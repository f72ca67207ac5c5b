// One person's events go for good, whatever becomes of the command that deletes them, and the proof
// says that they were erased, not lost.

#include "tests/consumer/ledger/ledger_database.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// accepted, committed, dead letters, erased, missing and duplicated.
std::string account(const LedgerDatabase& ledger) {
    return ledger.ask(
        "SELECT sum(accepted), sum(committed), sum(dead_lettered), sum(erased), sum(missing),"
        " sum(duplicated) FROM homeward.proof");
}

}  // namespace

TEST_CASE("erase deletes rows and dead letters that meet every condition, and the proof adds up") {
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(100);
    ledger.add_rows(origin, 1, 60, 3);  // user:7 has 7, 17 … 57
    ledger.add_rows(origin, 61, 95, 0);
    ledger.ask("UPDATE audit_events SET extra = '{\"it''s\": \"here\"}' WHERE seq = 27");
    ledger.add_letter(origin, 96, R"({"type":"audit","actor":"user:7","action":5})", "open");
    ledger.add_letter(origin, 97, R"({"type":"audit","actor":"user:8","action":5})", "open");
    ledger.add_letter(origin, 98, R"({"actor":"user:7", broken)", "open");
    ledger.add_letter(origin, 99, R"(rubbish)", "open");
    ledger.add_letter(origin, 100, R"({"type":"audit","actor":"user:7"})", "parked");
    ledger.add_letter(origin, 17, "", "redriven");
    ledger.count_days();
    REQUIRE(account(ledger) == "100|95|5|0|0|0");
    const std::vector<std::string> erase{"erase", "--type", "audit", "--where", "actor=user:7"};

    std::vector<std::string> dry = erase;
    dry.push_back("--dry-run");
    CHECK_THAT(ledger.consumer(dry).output,
               Contains("would_erase=9") && Contains("dead_letters=2"));
    CHECK(account(ledger) == "100|95|5|0|0|0");

    std::vector<std::string> both = erase;
    both.insert(both.end(), {"--where", "extra.it's=here"});
    CHECK_THAT(ledger.consumer(both).output, Contains("erased=1"));
    CHECK(account(ledger) == "100|94|5|1|0|0");

    const CommandResult erased = ledger.consumer(erase);
    INFO(erased.output);
    CHECK(erased.exit_code == 1);  // for the letter that nobody can read
    CHECK_THAT(erased.output, Contains("erased=8") && Contains("dead_letters=2") &&
                                  Contains("1 dead letters are no JSON"));
    CHECK(account(ledger) == "100|86|3|11|0|0");
    CHECK(ledger.ask("SELECT count(*) FROM audit_events WHERE actor = 'user:7'") == "0");
    CHECK(ledger.ask("SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM homeward.dead_letter") ==
          "97 98 99");
    CHECK(ledger.ask("SELECT count(*) FROM homeward.erasure WHERE digest IS NOT NULL") == "0");
    CHECK(ledger.ask("SELECT state FROM homeward.proof") == "complete");
    CHECK_THAT(ledger.consumer({"proof"}).output, Contains("erased 11") && Contains("erased=11"));
    // What came again would be settled already.
    CHECK_THAT(ledger.failure("SELECT homeward.settle('{" + std::to_string(origin) +
                              "}', '{7}', '{7}', '{7}', '{false}')"),
               Contains("settled already"));
}

TEST_CASE("an erasure that was killed goes on where it was, and counts each event once") {
    // Method: deleting a row takes 50 ms, a day's rows are one transaction; SIGKILL after the
    // first.
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(400);
    for (int day = 1; day <= 4; ++day) ledger.add_rows(origin, day * 100 - 99, day * 100, day);
    ledger.ask(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.05); RETURN OLD; END $$;"
        "CREATE TRIGGER slow BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION slowly()");
    const TempDir dir;
    const std::vector<std::string> erase{"erase", "--type", "audit", "--where", "actor=user:3"};
    Process killed = ledger.start_consumer(erase, dir / "log");
    REQUIRE(wait_until(20s, [&] {
        return ledger.number("SELECT coalesce(max(rows), 0) FROM homeward.erasure") > 0;
    }));
    killed.kill();
    REQUIRE(wait_until(20s, [&] {
        return ledger.number(
                   "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH gone%'"
                   " AND datname = current_database()") == 0;
    }));
    const std::int64_t before = ledger.number("SELECT rows FROM homeward.erasure");
    CHECK(before < 40);
    CHECK(account(ledger) ==
          "400|" + std::to_string(400 - before) + "|0|" + std::to_string(before) + "|0|0");
    ledger.ask("DROP TRIGGER slow ON audit_events");
    // Another person's erasure is not taken for it.
    const CommandResult other =
        ledger.consumer({"erase", "--type", "audit", "--where", "actor=user:4"});
    CHECK_THAT(other.output, Contains("erased=40") && !Contains("broken off"));
    const CommandResult resumed = ledger.consumer(erase);
    CHECK_THAT(resumed.output, Contains("broken off") && Contains("erased=40"));
    CHECK(resumed.exit_code == 0);
    CHECK(account(ledger) == "400|320|0|80|0|0");
}

TEST_CASE("erase binds values, names unknown fields, and refuses to run without a condition") {
    LedgerDatabase ledger;
    const int origin = ledger.add_origin(10);
    ledger.add_rows(origin, 1, 10, 0);
    const auto erase = [&](const std::string& where) {
        return ledger.consumer({"erase", "--type", "audit", "--where", where});
    };
    for (const char* injected :
         {"actor=x' OR true --", "extra.a' OR true --=1", "extra.\\' OR true --=1"}) {
        CHECK(erase(injected).exit_code == 0);
    }
    CHECK_THAT(erase("actor\" = '' OR true --=1").output, Contains("has no field"));
    CHECK_THAT(erase("user=7").output, Contains("it has actor action"));
    CHECK(erase("actor").exit_code == 2);
    CHECK(ledger.consumer({"erase", "--type", "audit"}).exit_code == 2);
    CHECK(ledger.consumer({"erase", "--type", "nothing", "--where", "a=b"}).exit_code == 2);
    CHECK(account(ledger) == "10|10|0|0|0|0");
}
