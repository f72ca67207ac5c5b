// Rows of days that are over become packs: also those that come later, beside days that cannot be
// packed, and with whatever ends a transaction in the midst.

#include "consumer/service/day_packer.hpp"

#include <future>
#include <optional>

#include "consumer/postgres/pg_connection.hpp"
#include "tests/consumer/write/packed_type.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using consumer::DayPacker;
using consumer::LeaderError;
using consumer::PgConnection;

namespace {

/// A leader with a packed type, whose rows come by SQL. No consumer runs.
class PackedDays {
  public:
    explicit PackedDays(const consumer::Config::Postgres& config = {}) : config_(config) {
        write_type(bridge_, "packed", measure_type("packed", "packed"));
        REQUIRE(bridge_.consumer_command({"schema", "apply"}).exit_code == 0);
        connection_.emplace(bridge_.leader().url(), config_);
    }

    const PostgresServer& leader() { return bridge_.leader(); }
    const consumer::Config::Postgres& config() const { return config_; }
    const EventType& type() const { return type_; }
    PgConnection& connection() { return *connection_; }

    /// Seqs of origin 7 from `first` on.
    void add_rows(const std::string& day, int first, int count, const std::string& note = "a") {
        leader().query("SELECT homeward.ensure_partitions('public', 'packed_table', ARRAY['" + day +
                       "'::date]); INSERT INTO packed_table (origin, seq, time, number, note)"
                       " SELECT 7, s, '" +
                       day + " 12:00Z', s, '" + note + "' FROM generate_series(" +
                       std::to_string(first) + ", " + std::to_string(first + count - 1) + ") AS s");
    }
    /// As the housekeeper does when the days have been quiet.
    void count_days() {
        for (const auto& one : leader().query(
                 "SELECT table_name, day FROM homeward.uncounted_days('0 s', '0 s', 100)")) {
            leader().query("SELECT * FROM homeward.begin_day_count('public', '" + one[0] + "', '" +
                           one[1] + "')");
            leader().query(
                "SELECT homeward.finish_day_count(k.id, k.attempt)"
                " FROM homeward.counted_day k WHERE k.is_counting");
        }
    }
    /// Until it finds no more; returns the errors, at most `errors_max`.
    std::vector<std::string> pack(DayPacker& packer, int errors_max = 1) {
        std::vector<std::string> errors;
        for (bool more = true; more;) {
            try {
                more = packer.work(*connection_, type_);
            } catch (const LeaderError& error) {
                errors.emplace_back(error.what());
                more = static_cast<int>(errors.size()) < errors_max;
            }
        }
        return errors;
    }
    std::int64_t packed() {
        return leader().number("SELECT coalesce(sum(_events), 0) FROM packed_table_packs");
    }
    std::int64_t all() { return leader().number(count_sql("packed_table")); }
    std::int64_t distinct() {
        return leader().number("SELECT count(DISTINCT (origin, seq)) FROM packed_table");
    }

  private:
    Bridge bridge_;
    const consumer::Config::Postgres config_;
    const EventType type_ = parse_event_type(measure_type("packed", "packed"), "packed.json");
    std::optional<PgConnection> connection_;
};

}  // namespace

TEST_CASE("rows that come later for a packed day are packed, also where the table does not grow") {
    PackedDays days;
    DayPacker packer(days.config());
    const PostgresServer& leader = days.leader();
    const auto blocks = [&] {
        return leader.number("SELECT pg_relation_size('packed_table_rows_20260101') / 8192");
    };
    days.add_rows("2026-01-01", 1, 1'000);
    days.add_rows("2026-01-01", 1'001, 1, "stays\x1e a row");  // so the table keeps its blocks
    CHECK(days.pack(packer).empty());
    REQUIRE(days.packed() == 1'000);
    leader.query("VACUUM packed_table_rows_20260101");
    const std::int64_t before = blocks();
    REQUIRE(before > 5);

    days.add_rows("2026-01-01", 2'001, 50);  // before the day's first count
    days.count_days();
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 1'050);
    days.count_days();
    CHECK(days.pack(packer).empty());
    leader.query("VACUUM packed_table_rows_20260101");

    days.add_rows("2026-01-01", 3'001, 50);  // after it
    days.count_days();
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 1'100);
    CHECK(blocks() == before);
    CHECK(days.all() == 1'101);
    CHECK(days.distinct() == 1'101);
}

TEST_CASE("rows of a transaction that a day's count waits for are packed after the count") {
    PackedDays days;
    DayPacker packer(days.config());
    const PostgresServer& leader = days.leader();
    days.add_rows("2026-01-01", 1, 1'000);
    days.add_rows("2026-01-01", 1'001, 1, "stays\x1e a row");
    CHECK(days.pack(packer).empty());
    days.count_days();
    CHECK(days.pack(packer).empty());
    leader.query("VACUUM packed_table_rows_20260101");
    days.add_rows("2026-01-01", 2'001, 1);
    // This one sees that the day has a late row, and records no other.
    PgConnection writer(leader.url(), days.config());
    writer.execute(
        "BEGIN; INSERT INTO packed_table (origin, seq, time, number)"
        " SELECT 7, s, '2026-01-01 12:00Z', s FROM generate_series(3001, 3020) AS s");
    const Rows count = leader.query(
        "SELECT * FROM homeward.begin_day_count('public', 'packed_table_rows', '2026-01-01')");
    CHECK(days.pack(packer).empty());
    writer.execute("COMMIT");
    CHECK(days.pack(packer).empty());
    leader.query("SELECT homeward.finish_day_count(" + count[0][0] + ", " + count[0][1] + ")");
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 1'021);
    CHECK(days.all() == 1'022);
}

TEST_CASE("a day that cannot be packed holds up no other, and is packed once it can be") {
    PackedDays days;
    DayPacker packer(days.config());
    days.leader().query(
        "ALTER TABLE packed_table_packs ADD CONSTRAINT mine CHECK (time >= '2026-01-02')");
    days.add_rows("2026-01-01", 1, 100);
    days.add_rows("2026-01-02", 101, 100);
    days.add_rows("2026-01-03", 201, 100);
    const auto errors = days.pack(packer);
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0], Contains("mine"));
    CHECK(days.packed() == 200);
    CHECK(days.all() == 300);
    days.leader().query("ALTER TABLE packed_table_packs DROP CONSTRAINT mine");
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 300);
    CHECK(days.distinct() == 300);
}

TEST_CASE("a lock that somebody holds delays a day's packing, and changes nothing") {
    consumer::Config::Postgres config;
    config.lock_timeout_ms = 200;
    PackedDays days(config);
    DayPacker packer(days.config());
    days.add_rows("2026-01-01", 1, 100);
    days.add_rows("2026-01-02", 101, 100);
    days.leader().query(
        "SELECT homeward.ensure_partitions('public', 'packed_table', ARRAY['2026-01-01'::date])");
    const std::string held = GENERATE("packed_table_rows_20260101", "packed_table_packs_20260101");
    PgConnection other(days.leader().url(), config);
    other.execute("BEGIN; LOCK TABLE " + held + " IN SHARE MODE");
    const auto errors = days.pack(packer);
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0], Contains("lock timeout"));
    other.execute("ROLLBACK");
    CHECK(days.packed() == 100);
    CHECK(days.all() == 200);
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 200);
    CHECK(days.distinct() == 200);
}

TEST_CASE("a day whose packing exceeds the statement timeout is packed in smaller parts") {
    // Method: a user's trigger that takes 3 ms for each row.
    consumer::Config::Postgres config;
    config.statement_timeout_ms = 1'000;
    PackedDays days(config);
    DayPacker packer(days.config());
    days.add_rows("2026-01-01", 1, 1'000);
    days.leader().query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.003); RETURN OLD; END $$;"
        "CREATE TRIGGER slow BEFORE DELETE ON packed_table_rows_20260101 FOR EACH ROW"
        " EXECUTE FUNCTION slow()");
    const auto errors = days.pack(packer, 20);
    INFO(errors.size());
    CHECK(errors.size() > 3);
    CHECK(errors.size() < 20);
    CHECK(days.packed() == 1'000);
    CHECK(days.leader().number(count_sql("packed_table_rows")) == 0);
    CHECK(days.distinct() == 1'000);
    // What was slow for a while does not keep parts small for ever.
    days.leader().query("DROP TRIGGER slow ON packed_table_rows_20260101");
    days.add_rows("2026-01-02", 1'001, 20'000);
    const auto blocks =
        days.leader().number("SELECT pg_relation_size('packed_table_rows_20260102') / 8192");
    int parts = 0;
    while (packer.work(days.connection(), days.type())) ++parts;
    INFO(blocks << " blocks in " << parts << " parts");
    CHECK(parts < 40);
    CHECK(days.packed() == 21'000);
}

TEST_CASE("two consumers that pack a day at once pack each row once") {
    PackedDays days;
    days.add_rows("2026-01-01", 1, 20'000);
    const auto work = [&] {
        PgConnection leader(days.leader().url(), days.config());
        DayPacker packer(days.config());
        for (bool more = true; more;) {
            try {
                more = packer.work(leader, days.type());
            } catch (const LeaderError& error) {
                if (error.sqlstate() != "40P01") throw;
            }
        }
    };
    auto one = std::async(std::launch::async, work);
    auto other = std::async(std::launch::async, work);
    one.get();
    other.get();
    CHECK(days.packed() == 20'000);
    CHECK(days.all() == 20'000);
    CHECK(days.distinct() == 20'000);
}

TEST_CASE("packs of large fields stay small, and what is too large for a pack stays a row") {
    PackedDays days;
    DayPacker packer(days.config());
    const auto add = [&](int first, int count, int kib) {
        days.add_rows("2026-01-01", first, count);
        days.leader().query("UPDATE packed_table_rows SET note = repeat('0123456789abcdef', " +
                            std::to_string(kib * 64) + ") WHERE seq >= " + std::to_string(first));
    };
    add(1, 100, 200);
    add(101, 10, 300);
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 100);
    CHECK(days.leader().number("SELECT max(octet_length(note)) FROM packed_table_packs") < 5 << 20);
    CHECK(days.leader().number(count_sql("packed_table_packs")) < 10);
    CHECK(days.distinct() == 110);
}

TEST_CASE("a day whose packs are too much for the leader is packed in smaller parts") {
    // Method: a user's trigger that refuses packs of more than 100 events as a server without
    // memory does; some 14 rows fill a block.
    PackedDays days;
    DayPacker packer(days.config());
    days.add_rows("2026-01-01", 1, 500, std::string(450, 'n'));
    const std::string code = GENERATE("53200", "54000");
    days.leader().query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW._events > 100 THEN RAISE EXCEPTION 'too much' USING ERRCODE = '" +
        code +
        "'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON packed_table_packs_20260101 FOR EACH ROW"
        " EXECUTE FUNCTION refuse()");
    const auto errors = days.pack(packer, 20);
    INFO(errors.size());
    CHECK(errors.size() > 3);
    CHECK(errors.size() < 20);
    CHECK(days.packed() == 500);
    CHECK(days.distinct() == 500);
}

TEST_CASE("days are packed under a publication of all tables, also those of v0.1.0") {
    PackedDays days;
    DayPacker packer(days.config());
    days.add_rows("2026-01-01", 1, 100);
    days.add_rows("2026-01-02", 101, 100);
    days.leader().query(
        "ALTER TABLE packed_table_rows_20260101 REPLICA IDENTITY DEFAULT;"
        "CREATE PUBLICATION everything FOR ALL TABLES");
    CHECK(days.pack(packer).empty());
    CHECK(days.packed() == 200);
}
