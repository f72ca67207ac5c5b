// Packed types: the same events as rows and as packs read alike, whatever they contain, and all
// that holds for rows holds for packs.

#include "tests/consumer/ledger/account.hpp"
#include "tests/consumer/write/packed_type.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/raw_columns.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

/// A frame of columns: events 1, 2 … with `detail` by this pattern and these numbers.
std::string frame_by(const FramePublisher& sender, std::uint64_t seq_first,
                     const std::string& pattern, const std::vector<std::uint64_t>& numbers) {
    const std::int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count();
    const std::vector<std::int64_t> times(numbers.size(), now_us);
    const homeward::FrameContent content = raw_columns(
        "packed", times,
        {{homeward::RecordKind::integer, "number", "\1" + std::string(numbers.size(), '\2')},
         {homeward::RecordKind::json, "detail",
          "\7" + raw_patterns({pattern}, "", {{1, 0, numbers}})}});
    homeward::FrameHeader header;
    header.version = 2;
    header.publisher = sender.publisher;
    header.seq_first = seq_first;
    header.seq_count = header.line_count = static_cast<std::uint32_t>(numbers.size());
    header.accepted = header.seq_last();
    std::vector<std::byte> frame;
    REQUIRE(homeward::FrameEncoder().encode(header, content, nullptr, frame));
    return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}

}  // namespace

TEST_CASE("events of a packed type read as the same events in rows, whatever they contain") {
    Bridge bridge;
    write_type(bridge, "packed", measure_type("packed", "packed"));
    write_type(bridge, "plain", measure_type("plain", "rows"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    FramePublisher other(bridge.leaf().port(), "ams", "shop");
    const auto events = fields_of_events(700);
    // Of two days, types in turn: their seqs have gaps in the one type and in the other.
    for (int day = 0; day < 2; ++day) {
        const std::string time = "2026-01-0" + std::to_string(day + 1) + "T12:00:00Z";
        std::vector<std::string> both;
        const auto packed = lines_of("packed", events, time);
        const auto plain = lines_of("plain", events, time);
        for (std::size_t i = 0; i < packed.size(); ++i) {
            both.push_back(packed[i]);
            both.push_back(plain[i]);
        }
        sender.send(sender.frame_of(1 + static_cast<std::uint64_t>(day) * both.size(), both));
        other.send(other.frame_of(1 + static_cast<std::uint64_t>(day) * packed.size(), packed));
        other.send(other.frame_of(10'001 + static_cast<std::uint64_t>(day) * plain.size(), plain,
                                  10'000 + 2 * plain.size()));
    }
    const PostgresServer& leader = bridge.leader();
    REQUIRE(wait_until(60s, [&] { return leader.number(count_sql("plain_table")) == 2'800; }));
    REQUIRE(wait_until(60s, [&] { return leader.number(count_sql("packed_table")) == 2'800; }));
    CHECK(dead_letters(leader) == 0);
    const std::string columns =
        "time, number, note, small, middle, single::text, amount, exact, done, since, request, "
        "peer,"
        " detail, tags, counts, times, extra";
    for (const auto& [a, b] :
         {std::pair("packed_table", "plain_table"), std::pair("plain_table", "packed_table")}) {
        CHECK(leader.number("SELECT count(*) FROM (SELECT " + columns + " FROM " + a +
                            " EXCEPT ALL SELECT " + columns + " FROM " + b + ") AS d") == 0);
    }
    // The view's columns have the declared types, and packs and rows the events that belong there.
    CHECK(leader.query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE"
                       " attrelid = 'packed_table'::regclass AND attnum > 0 ORDER BY attnum") ==
          leader.query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE"
                       " attrelid = 'plain_table'::regclass AND attnum > 0 ORDER BY attnum"));
    CHECK(leader.number("SELECT sum(_events) FROM packed_table_packs") >= 2'700);
    CHECK(leader.number("SELECT count(*) FROM packed_table_rows"
                        " WHERE strpos(note, E'\\x1e') > 0") > 0);
    CHECK(leader.number("SELECT count(*) FROM packed_table_packs"
                        " WHERE _seq_offsets IS NOT NULL") > 0);
    CHECK(leader.number("SELECT count(DISTINCT (origin, seq)) FROM packed_table") == 2'800);
    // Without gaps, packs need no offsets.
    FramePublisher whole(bridge.leaf().port(), "ams", "shop");
    whole.send(whole.frame_of(1, lines_of("packed", std::vector<std::string>(50, "\"number\":1"))));
    REQUIRE(wait_until(60s, [&] { return leader.number(count_sql("packed_table")) == 2'850; }));
    CHECK(leader.query("SELECT seq, _events, note FROM packed_table_packs"
                       " WHERE _seq_offsets IS NULL") == Rows{{"1", "50", ""}});
    CHECK(leader.number("SELECT count(*) FROM packed_table WHERE origin NOT IN"
                        " (SELECT id FROM homeward.origin)") == 0);
}

TEST_CASE(
    "functions of a packed type read the packs and partitions that they need, and no others") {
    const bool has_index = GENERATE(false, true);
    Bridge bridge;
    write_type(bridge, "packed",
               measure_type("packed", "packed", "",
                            has_index ? R"({"columns": ["note"]}, {"columns": ["number"]})" : ""));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (int day = 1; day <= 3; ++day) {
        const auto lines = lines_of("packed", fields_of_events(200),
                                    "2026-01-0" + std::to_string(day) + "T12:00:00Z");
        sender.send(sender.frame_of(static_cast<std::uint64_t>(day - 1) * 200 + 1, lines));
    }
    expect_clean(bridge);
    const PostgresServer& leader = bridge.leader();
    CHECK(leader.number(count_sql("packed_table_by_note('note 3')")) ==
          leader.number("SELECT count(*) FROM packed_table WHERE note = 'note 3'"));
    CHECK(leader.number(count_sql("packed_table_by_note('')")) ==
          leader.number("SELECT count(*) FROM packed_table WHERE note = ''"));
    CHECK(leader.number(count_sql("packed_table_by_note(E'a\\x1eb')")) ==
          leader.number("SELECT count(*) FROM packed_table WHERE note = E'a\\x1eb'"));
    CHECK(leader.number(count_sql("packed_table_by_number(7, '2026-01-02', '2026-01-03')")) == 1);
    CHECK(leader.number(count_sql("packed_table_by_request("
                                  "'123e4567-e89b-12d3-a456-426614174000')")) ==
          leader.number("SELECT count(*) FROM packed_table WHERE request IS NOT NULL"));
    const std::string of_day = "packed_table_between('2026-01-02 12:00Z', '2026-01-02 12:00:01Z')";
    CHECK(leader.number(count_sql(of_day)) == 200);
    CHECK(leader.number(count_sql("packed_table_between('2026-01-02 12:00:01Z', "
                                  "'2026-01-03 12:00Z')")) == 0);
    std::string plan;
    for (const auto& row : leader.query("EXPLAIN SELECT * FROM " + of_day)) plan += row[0] + "\n";
    INFO(plan);
    CHECK_THAT(plan, Contains("packed_table_packs_20260102") &&
                         !Contains("packed_table_packs_20260101") &&
                         !Contains("packed_table_packs_20260103"));
    std::string scan;
    for (const auto& row : leader.query("SET enable_seqscan = off; EXPLAIN SELECT * FROM "
                                        "packed_table_between('2026-01-02 12:00Z',"
                                        " '2026-01-02 12:00:01Z')")) {
        scan += row[0] + "\n";
    }
    INFO(scan);
    CHECK_THAT(scan, Contains("_time_last_idx"));
    if (!has_index) return;
    std::string found;
    for (const auto& row : leader.query("EXPLAIN SELECT * FROM "
                                        "packed_table_by_note('note 3')")) {
        found += row[0] + "\n";
    }
    INFO(found);
    CHECK_THAT(found, Contains("@>") && Contains("Bitmap Index Scan on packed_table_packs"));
}

TEST_CASE("bad events in packs become dead letters, and their neighbours land") {
    Bridge bridge;
    write_type(bridge, "packed", measure_type("packed", "packed"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    // A user's rule, on both tables.
    bridge.leader().query(
        "ALTER TABLE packed_table_packs ADD CHECK (coalesce(strpos(note, 'forbidden'), 0) = 0);"
        "ALTER TABLE packed_table_rows ADD CHECK (note <> 'forbidden')");
    bridge.start_consumer();
    auto events = fields_of_events(2'000);
    for (const std::size_t bad : {17u, 1'000u, 1'999u}) {
        events[bad] = "\"number\":" + std::to_string(bad) + R"(,"note":"forbidden")";
    }
    events[500] = R"("number":500,"small":70000)";
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame_of(1, lines_of("packed", events)));
    const PostgresServer& leader = bridge.leader();
    REQUIRE(wait_until(60s, [&] { return leader.number(count_sql("packed_table")) == 1'996; }));
    CHECK(leader.query("SELECT seq FROM homeward.dead_letter ORDER BY seq") ==
          Rows{{"18"}, {"501"}, {"1001"}, {"2000"}});
    expect_clean(bridge);
}

TEST_CASE("a pattern by which text that is no JSON would pass for JSON spoils no pack") {
    Bridge bridge;
    write_type(bridge, "packed", measure_type("packed", "packed"));
    bridge.start_consumer();
    const PostgresServer& leader = bridge.leader();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::vector<std::uint64_t> numbers{17, 5, 17, 17, 17, 17, 17, 17, 17, 17};
    sender.send(frame_by(sender, 1, R"({"a":0})", numbers));
    sender.send(frame_by(sender, 11, R"({"a":1B})", numbers));
    sender.send(frame_by(sender, 21, R"({"a":0})", numbers));
    const bool is_settled = wait_until(60s, [&] {
        return leader.number("SELECT coalesce(sum(_events), 0) FROM packed_table_packs") == 20 &&
               dead_letters(leader) == 1;
    });
    INFO(bridge.consumer_log());
    REQUIRE(is_settled);
    CHECK(leader.query("SELECT * FROM packed_table").size() == 20);
    CHECK(leader.number("SELECT count(*) FROM packed_table WHERE detail->>'a' = '5'") == 2);
    CHECK(leader.query("SELECT seq FROM homeward.dead_letter") == Rows{{"11"}});
    const CommandResult back = bridge.consumer_command({"repack", "--type", "packed", "--to-rows"});
    INFO(back.output);
    CHECK(back.exit_code == 0);
    expect_clean(bridge);
}

TEST_CASE(
    "a type is switched to packed and back: all of its data is read, and older writers go on") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", measure_type("packed", "rows"));
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const auto events = fields_of_events(300);
    const auto send = [&](std::uint64_t first, const std::string& more = "") {
        auto lines = events;
        for (std::string& line : lines) line += more;
        sender.send(sender.frame_of(first, lines_of("packed", lines)));
        REQUIRE(wait_until(60s, [&] {
            return leader.number(count_sql("packed_table")) ==
                   static_cast<std::int64_t>(first) + 299;
        }));
    };
    send(1);
    leader.query("CREATE VIEW mine AS SELECT number FROM packed_table");
    write_type(bridge, "packed", measure_type("packed", "packed"));
    const CommandResult refused = bridge.consumer_command({"schema", "apply"});
    CHECK(refused.exit_code != 0);
    CHECK_THAT(refused.output, Contains("view mine reads table packed_table"));
    leader.query("DROP VIEW mine");
    const CommandResult plan = bridge.consumer_command({"schema", "plan"});
    INFO(plan.output);
    CHECK_THAT(plan.output, Contains(R"(RENAME TO "packed_table_rows")"));
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    // The consumer that runs still has the type as rows, and writes through the view.
    send(301);
    CHECK(leader.number(count_sql("packed_table_rows")) == 600);
    bridge.stop_consumer();
    bridge.start_consumer();
    send(601);
    CHECK(leader.number(count_sql("packed_table_rows")) < 640);

    // A new field, while it is packed, and back to rows.
    write_type(bridge, "packed",
               measure_type("packed", "packed", R"(, "colour": {"type": "string"})"));
    bridge.stop_consumer();
    bridge.start_consumer();
    send(901, R"(,"colour":"red")");
    CHECK(leader.number("SELECT count(*) FROM packed_table WHERE colour = 'red'") == 300);
    write_type(bridge, "packed",
               measure_type("packed", "rows", R"(, "colour": {"type": "string"})"));
    bridge.stop_consumer();
    bridge.start_consumer();
    send(1'201, R"(,"colour":"blue")");
    CHECK(leader.number("SELECT count(*) FROM packed_table_rows WHERE colour = 'blue'") == 300);
    CHECK(leader.number(count_sql("packed_table_by_colour('red')")) == 300);
    expect_clean(bridge);
}

TEST_CASE("what has a name that a packed type needs is left as it is, and named") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    const std::string name = GENERATE("packed_table", "packed_table_rows", "packed_table_packs");
    leader.query("CREATE " + std::string(name == "packed_table" ? "VIEW " : "TABLE ") + name +
                 (name == "packed_table" ? " AS SELECT 1 AS mine" : " (mine int)"));
    write_type(bridge, "packed", measure_type("packed", "packed"));
    const CommandResult refused = bridge.consumer_command({"schema", "apply"});
    INFO(refused.output);
    CHECK(refused.exit_code != 0);
    CHECK_THAT(refused.output, Contains(name));
    CHECK(leader.number("SELECT count(*) FROM pg_attribute WHERE attrelid = '" + name +
                        "'::regclass AND attname = 'mine'") == 1);
}
