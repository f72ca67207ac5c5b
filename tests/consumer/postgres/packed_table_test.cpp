// What a packed type makes on the leader: names at PostgreSQL's limit of 63 bytes, names that
// others have, columns of the user's, a server without lz4, and which partitions the view reads.

#include "tests/consumer/write/packed_type.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::testing;
using Catch::Matchers::Contains;

namespace {

/// A type of text fields, each with an index.
std::string text_type(const std::string& name, const std::string& table,
                      const std::vector<std::string>& fields,
                      const std::string& storage = "packed") {
    std::string properties;
    std::string indexes;
    for (const std::string& field : fields) {
        properties += (properties.empty() ? "\"" : ", \"") + field + R"(": {"type": "string"})";
        indexes += (indexes.empty() ? "" : ", ") + (R"({"columns": [")" + field + R"("]})");
    }
    return R"({"title": ")" + name + R"(", "type": "object", "properties": {)" + properties +
           R"(}, "x-homeward": {"class": "audit", "table": ")" + table +
           R"(", "partition": "day", "retention_days": 0, "indexes": [)" + indexes +
           R"(], "storage": ")" + storage + R"("}})";
}

std::string plan_of(const PostgresServer& leader, const std::string& query) {
    std::string plan;
    for (const auto& row : leader.query("EXPLAIN (COSTS OFF) " + query)) plan += row[0] + "\n";
    return plan;
}

/// Rows 1 to 100 of origin 7 of a day, with the same text in each column, packed.
void add_packs(const PostgresServer& leader, const std::string& type, const std::string& table,
               const std::vector<std::string>& fields, const std::string& day) {
    std::string columns;
    std::string values;
    for (const std::string& field : fields) {
        columns += ", " + field;
        values += ", $value$" + field + " $value$ || i";
    }
    leader.query("SELECT homeward.ensure_partitions('public', '" + table + "', ARRAY['" + day +
                 "'::date]); INSERT INTO " + table + " (origin, seq, time" + columns +
                 ") SELECT 7, i, '" + day + " 12:00Z'" + values +
                 " FROM generate_series(1, 100) i");
    leader.query("SELECT homeward.pack_rows('" + type + "', '" + day + "', 0, 1000)");
}

}  // namespace

TEST_CASE("each indexed field of a packed type has its index, however long the names are") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    const std::string stem(44, 'f');
    const std::vector<std::string> fields{stem + "one", stem + "two", std::string(60, 'g') + "one",
                                          std::string(60, 'g') + "two"};
    const auto indexed_columns = [&] {
        return leader.query(
            "SELECT DISTINCT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid"
            "  AND d.refobjid = i.indrelid JOIN pg_attribute a ON a.attrelid = i.indrelid"
            "  AND a.attnum = d.refobjsubid JOIN pg_am m ON m.oid = c.relam"
            " WHERE i.indrelid = 'packed_table_packs'::regclass AND m.amname = 'gin'"
            " ORDER BY attname");
    };
    write_type(bridge, "packed", text_type("packed", "packed_table", {fields[0], fields[2]}));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    CHECK(indexed_columns() == Rows{{fields[0]}, {fields[2]}});
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    write_type(bridge, "packed", text_type("packed", "packed_table", fields));
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    CHECK(applied.exit_code == 0);
    CHECK(indexed_columns() == Rows{{fields[0]}, {fields[1]}, {fields[2]}, {fields[3]}});
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    add_packs(leader, "packed", "packed_table", fields, "2026-01-01");
    CHECK(leader.number(count_sql("packed_table_by_" + fields[1] + "('" + fields[1] + " 7')")) ==
          1);
    // An index of the same name, on something else.
    CHECK(leader.number("SELECT count(*) FROM packed_table WHERE " + fields[3] + " = '" +
                        fields[3] + " 7'") == 1);
}

TEST_CASE("packed types of tables with 48 bytes that differ in the last have all of their names") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    const std::string stem(47, 't');
    for (const std::string end : {"a", "b"}) {
        write_type(bridge, "type_" + end,
                   text_type("type_" + end, stem + end, {"note", "elevenbytes", "twelve_bytes"}));
    }
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    for (const std::string end : {"a", "b"}) {
        const std::string table = stem + end;
        add_packs(leader, "type_" + end, table, {"note", "elevenbytes"}, "2026-01-01");
        CHECK(leader.number("SELECT sum(_events) FROM " + table + "_packs_20260101") == 100);
        CHECK(leader.number(count_sql(table + "_between('2026-01-01', '2026-01-02')")) == 100);
        CHECK(leader.number(count_sql(table + "_by_elevenbytes('elevenbytes 7')")) == 1);
        CHECK(leader.number(count_sql(table)) == 100);
    }
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    // With "_by_" one byte too many: not under a name that is cut.
    CHECK(leader.number("SELECT count(*) FROM pg_proc WHERE proname LIKE '%twelve%'") == 0);
}

TEST_CASE("two event types that need the same table are refused with both of their names") {
    Bridge bridge;
    const std::string other = GENERATE("packed_table_rows", "packed_table_packs");
    const bool is_packed_first = GENERATE(true, false);
    const std::string storage = GENERATE("rows", "packed");
    const std::string packed = text_type("packed", "packed_table", {"note"});
    const std::string second = text_type("second", other, {"name"}, storage);
    write_type(bridge, is_packed_first ? "packed" : "second", is_packed_first ? packed : second);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    write_type(bridge, is_packed_first ? "second" : "packed", is_packed_first ? second : packed);
    for (const std::string command : {"plan", "apply"}) {
        const CommandResult refused = bridge.consumer_command({"schema", command});
        INFO(command << ": " << refused.output);
        CHECK(refused.exit_code != 0);
        CHECK_THAT(refused.output, Contains("\"packed\"") && Contains("\"second\"") &&
                                       Contains(other) && Contains("another table"));
    }
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.event_type"
                                 " WHERE name IN ('packed', 'second')") == 1);
}

TEST_CASE("two new event types that need the same table are refused by the plan already") {
    Bridge bridge;
    write_type(bridge, "packed", text_type("packed", "packed_table", {"note"}));
    write_type(bridge, "second", text_type("second", "packed_table_packs", {"name"}, "rows"));
    const CommandResult refused = bridge.consumer_command({"schema", "plan"});
    INFO(refused.output);
    CHECK(refused.exit_code != 0);
    CHECK_THAT(refused.output, Contains("\"packed\"") && Contains("\"second\""));
}

TEST_CASE("a function that has the name and arguments of a packed type's is named and left") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "first", text_type("first", "a", {"x_by_y"}));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    write_type(bridge, "second", text_type("second", "a_by_x", {"y"}));
    const CommandResult refused = bridge.consumer_command({"schema", "apply"});
    INFO(refused.output);
    CHECK(refused.exit_code != 0);
    CHECK_THAT(refused.output,
               Contains("\"second\"") && Contains("a_by_x_by_y(text") && Contains("rename"));
    CHECK(leader.number("SELECT count(*) FROM pg_proc WHERE proname = 'a_by_x_by_y'") == 1);
    CHECK(leader.number(count_sql("a_by_x_by_y('1')")) == 0);
}

TEST_CASE("columns of the user's may have any name when a type is packed") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", text_type("packed", "packed_table", {"note"}, "rows"));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    leader.query(R"(ALTER TABLE packed_table ADD COLUMN "it's 100%s" text,)"
                 R"( ADD COLUMN "$$ or $pack$" text, ADD COLUMN "a ""b""" int)");
    write_type(bridge, "packed", text_type("packed", "packed_table", {"note"}));
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    add_packs(leader, "packed", "packed_table", {"note", R"("it's 100%s")", R"("$$ or $pack$")"},
              "2026-01-01");
    CHECK(leader.number("SELECT sum(_events) FROM packed_table_packs") == 100);
    CHECK(leader.number(
              R"(SELECT count(DISTINCT "it's 100%s") FROM packed_table_by_note('note 7'))") == 1);
}

TEST_CASE("on a server without lz4 packs have the server's compression") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    const bool has_lz4 = GENERATE(true, false);
    if (!has_lz4) {
        // What a server says that was built without.
        leader.query(
            "SET allow_system_table_mods = on; CREATE OR REPLACE VIEW pg_catalog.pg_settings AS"
            " SELECT name, setting, unit, category, short_desc, extra_desc, context, vartype,"
            " source, min_val, max_val, array_remove(enumvals, 'lz4') AS enumvals, boot_val,"
            " reset_val, sourcefile, sourceline, pending_restart FROM pg_show_all_settings()");
    }
    write_type(bridge, "packed", text_type("packed", "packed_table", {"note"}));
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK(leader.number("SELECT count(*) FROM pg_attribute WHERE attrelid = 'packed_table_packs'"
                        "::regclass AND attcompression = 'l'") == (has_lz4 ? 4 : 0));
    CHECK_THAT(bridge.consumer_command({"schema", "plan"}).output, Contains("up to date"));
    add_packs(leader, "packed", "packed_table", {"note"}, "2026-01-01");
    CHECK(leader.number("SELECT sum(_events) FROM packed_table_packs") == 100);
    CHECK(leader.number(count_sql("packed_table_by_note('note 7')")) == 1);
}

TEST_CASE("a condition on the view's time prunes partitions of rows, and of packs only between()") {
    Bridge bridge;
    const PostgresServer& leader = bridge.leader();
    write_type(bridge, "packed", text_type("packed", "packed_table", {"note"}));
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    for (const std::string day : {"2026-01-01", "2026-01-02", "2026-01-03"}) {
        add_packs(leader, "packed", "packed_table", {"note"}, day);
    }
    const std::string time = "time >= '2026-01-02 11:00Z' AND time < '2026-01-02 13:00Z'";
    const std::string of_view = plan_of(leader, "SELECT * FROM packed_table WHERE " + time);
    INFO(of_view);
    CHECK_THAT(of_view, Contains("packed_table_rows_20260102") &&
                            !Contains("packed_table_rows_20260101") &&
                            !Contains("packed_table_rows_20260103"));
    CHECK_THAT(of_view, Contains("packed_table_packs_20260101") &&
                            Contains("packed_table_packs_20260102") &&
                            Contains("packed_table_packs_20260103"));
    const std::string of_function = plan_of(
        leader, "SELECT * FROM packed_table_between('2026-01-02 11:00Z', '2026-01-02 13:00Z')");
    INFO(of_function);
    CHECK_THAT(of_function, Contains("packed_table_packs_20260102") &&
                                !Contains("packed_table_packs_20260101") &&
                                !Contains("packed_table_packs_20260103") &&
                                Contains("packed_table_rows_20260102") &&
                                !Contains("packed_table_rows_20260101"));
    // A condition on the function's time prunes no more than its arguments do.
    CHECK_THAT(plan_of(leader,
                       "SELECT * FROM packed_table_between('2026-01-01', '2026-01-04')"
                       " WHERE " +
                           time),
               Contains("packed_table_packs_20260101") && Contains("packed_table_packs_20260103"));
    CHECK(leader.number("SELECT count(*) FROM packed_table WHERE " + time) == 100);
}
