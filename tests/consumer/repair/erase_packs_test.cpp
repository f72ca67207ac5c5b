// An erasure deletes every event that was there when it began, also those that somebody moves from
// one pack, or one table, to another meanwhile.

#include <future>

#include "consumer/postgres/pg_connection.hpp"
#include "tests/consumer/write/packed_type.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// A hundred events of one day in one pack, half of them with note a, half with b. No consumer
/// runs.
class OnePack {
  public:
    OnePack() {
        write_type(bridge_, "packed", measure_type("packed", "packed"));
        REQUIRE(command({"schema", "apply"}).exit_code == 0);
        // The table of rows gets the day before the packs do: erase looks at it first.
        leader().query(
            "SELECT homeward.ensure_partitions('public', 'packed_table_rows',"
            " ARRAY['2026-01-01'::date]);"
            "INSERT INTO packed_table (origin, seq, time, number, note) SELECT 7, s,"
            " '2026-01-01 12:00Z', s, CASE s % 2 WHEN 0 THEN 'a' ELSE 'b' END"
            " FROM generate_series(1, 100) AS s");
        REQUIRE(command({"repack", "--type", "packed"}).exit_code == 0);
        REQUIRE(leader().number(count_sql("packed_table_packs")) == 1);
    }

    const PostgresServer& leader() { return bridge_.leader(); }
    CommandResult command(const std::vector<std::string>& words) {
        return bridge_.consumer_command(words);
    }
    CommandResult erase(const std::string& note) {
        return command({"erase", "--type", "packed", "--where", "note=" + note});
    }
    /// Until as many backends wait for `event`.
    bool wait(const std::string& event, int backends) {
        return wait_until(20s, [&] {
            return leader().number("SELECT count(*) FROM pg_stat_activity WHERE '" + event +
                                   "' IN (wait_event_type, wait_event)") == backends;
        });
    }

  private:
    Bridge bridge_;
};

}  // namespace

TEST_CASE("two erasures of one pack at once delete what each is to delete") {
    // Method: deleting a pack takes a second, and the second erasure begins meanwhile. It waits for
    // the pack, finds it gone, and does not see the one that came in its place.
    OnePack pack;
    pack.leader().query(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(1); RETURN OLD; END $$;"
        "CREATE TRIGGER slow BEFORE DELETE ON packed_table_packs FOR EACH ROW"
        " EXECUTE FUNCTION slowly()");
    auto first = std::async(std::launch::async, [&] { return pack.erase("a"); });
    REQUIRE(pack.wait("PgSleep", 1));
    const CommandResult second = pack.erase("b");
    const CommandResult other = first.get();
    INFO(other.output << second.output);
    CHECK_THAT(other.output, Contains("erased=50"));
    CHECK_THAT(second.output, Contains("erased=50"));
    CHECK(other.exit_code == 0);
    CHECK(second.exit_code == 0);
    CHECK(pack.leader().number(count_sql("packed_table")) == 0);
}

TEST_CASE("an erasure finds events that repack moves into the table that it has been through") {
    // Method: both wait for the pack, repack first. The table of rows, which the erasure looks at
    // before the packs, is empty until then.
    OnePack pack;
    consumer::PgConnection holder(pack.leader().url(), consumer::Config::Postgres{});
    holder.execute("BEGIN; SELECT FROM packed_table_packs FOR UPDATE");
    auto repack = std::async(std::launch::async, [&] {
        return pack.command({"repack", "--type", "packed", "--to-rows"});
    });
    REQUIRE(pack.wait("Lock", 1));
    auto erase = std::async(std::launch::async, [&] { return pack.erase("a"); });
    REQUIRE(pack.wait("Lock", 2));
    holder.execute("ROLLBACK");
    const CommandResult moved = repack.get();
    const CommandResult erased = erase.get();
    INFO(moved.output << erased.output);
    CHECK(moved.exit_code == 0);
    CHECK(erased.exit_code == 0);
    CHECK_THAT(erased.output, Contains("erased=50"));
    CHECK(pack.leader().number(count_sql("packed_table WHERE note = 'a'")) == 0);
    CHECK(pack.leader().number(count_sql("packed_table WHERE note = 'b'")) == 50);
}

TEST_CASE("an erasure that events escape again and again says so, and a later one gets them") {
    // Method: whatever is deleted comes again.
    OnePack pack;
    pack.leader().query(
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO packed_table_packs SELECT OLD.*; RETURN OLD; END $$;"
        "CREATE TRIGGER again BEFORE DELETE ON packed_table_packs FOR EACH ROW"
        " EXECUTE FUNCTION again()");
    const CommandResult escaped = pack.erase("a");
    CHECK(escaped.exit_code != 0);
    CHECK_THAT(escaped.output, Contains("events of type \"packed\" have moved") &&
                                   Contains("erase again when repack"));
    pack.leader().query("DROP TRIGGER again ON packed_table_packs");
    CHECK(pack.erase("a").exit_code == 0);
    CHECK(pack.leader().number(count_sql("packed_table WHERE note = 'a'")) == 0);
}
