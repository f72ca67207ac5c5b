// Tables from event types: made, extended, refused; by many at once; and their days.

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

using Clock = std::chrono::steady_clock;

/// An event type `order` of the user's own.
std::string order_type(const std::string& properties, const std::string& more = "") {
    return R"({"title": "order", "type": "object", "properties": {)" + properties +
           R"(}, "x-homeward": {"class": "audit", "table": "orders", "partition": "day")" + more +
           "}}";
}
constexpr const char* kNumber = R"("number": {"type": "integer"})";

/// A leader, and homeward-consumer with a directory of types.
class Types {
  public:
    Types() { std::filesystem::create_directory(dir_ / "types"); }
    void write(const std::string& type) { write("order.json", type); }
    void write(const std::string& file, const std::string& text) {
        std::ofstream(dir_ / ("types/" + file)) << text;
    }
    CommandResult schema(const std::string& how) const {
        ProcessOptions options;
        options.environment = {{"HOMEWARD_POSTGRES_URL", leader.url()},
                               {"HOMEWARD_SOURCES", "ams"},
                               {"HOMEWARD_SCHEMA_TYPES_DIR", dir_ / "types"}};
        return run_command({HOMEWARD_CONSUMER_PROGRAM, "schema", how}, options, 120s);
    }
    PostgresServer leader;

  private:
    TempDir dir_;
};

/// Somebody's transaction that has read these tables and is not over.
class OpenTransaction {
  public:
    OpenTransaction(const PostgresServer& leader, const std::string& table)
        : psql_({"psql", "-q", leader.url(), "-c",
                 "BEGIN; SELECT count(*) FROM " + table + "; SELECT pg_sleep(300)"},
                {.log = "/dev/null"}) {
        REQUIRE(wait_until(20s, [&] {
            return leader.number(
                       "SELECT count(*) FROM pg_stat_activity"
                       " WHERE wait_event = 'PgSleep'") == 1;
        }));
    }
    void end(const PostgresServer& leader) {
        leader.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep'");
        psql_.wait(10s);
    }

  private:
    Process psql_;
};

std::string days_ago(const PostgresServer& leader, int days, const std::string& format) {
    return leader.query("SELECT to_char((now() AT TIME ZONE 'UTC')::date - " +
                        std::to_string(days) + ", '" + format + "')")[0][0];
}

}  // namespace

TEST_CASE("the plan is printed and nothing done; applied by eight at once, it is done once") {
    Types types;
    types.write(order_type(kNumber));
    const CommandResult plan = types.schema("plan");
    CHECK_THAT(plan.output, Contains("CREATE TABLE \"public\".\"orders\"") &&
                                Contains("CREATE TABLE homeward.ledger_frame") &&
                                Contains("PARTITION BY RANGE (time)"));
    CHECK(plan.exit_code == 0);
    CHECK(types.leader.query("SELECT to_regnamespace('homeward')") == Rows{{""}});

    std::vector<std::thread> people;
    std::vector<CommandResult> results(8);
    for (CommandResult& result : results) {
        people.emplace_back([&] { result = types.schema("apply"); });
    }
    for (std::thread& person : people) person.join();
    for (const CommandResult& result : results) {
        INFO(result.output);
        CHECK(result.exit_code == 0);
    }
    CHECK(types.leader.number("SELECT count(*) FROM homeward.migration"
                              " WHERE length(checksum) = 64") >= 9);
    CHECK_THAT(types.schema("plan").output, Contains("up to date"));
    CHECK(types.leader.query("SELECT indexdef LIKE '%USING brin (\"time\")' FROM pg_indexes"
                             " WHERE tablename = 'orders'") == Rows{{"t"}});
    // Yesterday, today and three days ahead.
    CHECK(types.leader.number("SELECT count(*) FROM pg_inherits"
                              " WHERE inhparent = 'orders'::regclass") == 5);
}

TEST_CASE(
    "a type grows additively; what would change or move a column is refused with its reason") {
    Types types;
    types.write(order_type(kNumber));
    REQUIRE(types.schema("apply").exit_code == 0);
    types.leader.query("INSERT INTO orders (origin, seq, time, number) VALUES (1, 1, now(), 7)");

    types.write(order_type(std::string(kNumber) + R"(, "note": {"type": "string"})",
                           R"(, "retention_days": 30)"));
    const CommandResult plan = types.schema("plan");
    CHECK_THAT(plan.output, Contains("ADD COLUMN \"note\" text") && Contains("retention_days"));
    CHECK(types.schema("apply").exit_code == 0);
    CHECK(types.leader.query("SELECT number, note FROM orders") == Rows{{"7", ""}});
    CHECK(types.leader.number("SELECT retention_days FROM homeward.event_type"
                              " WHERE name = 'order'") == 30);
    CHECK_THAT(types.schema("plan").output, Contains("up to date"));

    const auto refusal = [&](const std::string& type) {
        types.write(type);
        const CommandResult refused = types.schema("apply");
        INFO(refused.output);
        CHECK(refused.exit_code == 2);
        return refused.output;
    };
    CHECK_THAT(refusal(order_type(R"("number": {"type": "string"})")),
               Contains("\"number\" to be text, the table has bigint") && Contains("another name"));
    std::string moved = order_type(kNumber);
    moved.replace(moved.find("orders"), 6, "parcel");
    CHECK_THAT(refusal(moved), Contains("has its rows in public.orders"));
    std::string undivided = order_type(kNumber);
    undivided.replace(undivided.find("\"day\""), 5, "\"none\"");
    CHECK_THAT(refusal(undivided), Contains("partitioned by day"));
    CHECK(types.leader.query("SELECT number, note FROM orders") == Rows{{"7", ""}});
}

TEST_CASE("every index of a type is made, also where their names would be the same when cut") {
    Types types;
    const std::string stem(55, 'n');
    std::string properties = R"("b": {"type": "string"}, "c": {"type": "string"},)"
                             R"("b_c": {"type": "string"})";
    std::string indexes = R"({"columns": ["b_c"]}, {"columns": ["b", "c"]}, {"columns": ["time"],)"
                          R"( "method": "brin"})";
    for (const char* end : {"_first", "_second", "_third"}) {
        properties += ", \"" + stem + end + R"(": {"type": "string"})";
        indexes += R"(, {"columns": [")" + stem + end + R"("]})";
    }
    types.write(order_type(properties, R"(, "indexes": [)" + indexes + "]"));
    const CommandResult applied = types.schema("apply");
    INFO(applied.output);
    CHECK(applied.exit_code == 0);
    CHECK_THAT(types.schema("plan").output, Contains("up to date"));
    // Each with its columns, and ours on time.
    CHECK(types.leader.number("SELECT count(DISTINCT indexrelid) FROM pg_index"
                              " WHERE indrelid = 'orders'::regclass") == 7);
    CHECK(types.leader.number("SELECT count(DISTINCT indkey::text) FROM pg_index"
                              " WHERE indrelid = 'orders'::regclass") == 6);
}

TEST_CASE("a table is made with its indexes and its name in the ledger, or not at all") {
    // Method: a trigger refuses the registration, which comes last.
    Types types;
    REQUIRE(types.schema("apply").exit_code == 0);
    types.leader.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not now'; END $$");
    types.leader.query(
        "CREATE TRIGGER refuse BEFORE INSERT ON homeward.event_type"
        " FOR EACH ROW WHEN (new.name = 'order') EXECUTE FUNCTION refuse()");
    types.write(order_type(kNumber));
    CHECK_THAT(types.schema("apply").output, Contains("not now"));
    CHECK(types.leader.query("SELECT to_regclass('orders')") == Rows{{""}});
    types.leader.query("DROP TRIGGER refuse ON homeward.event_type");
    CHECK(types.schema("apply").exit_code == 0);
    CHECK(types.leader.number("SELECT count(*) FROM pg_index"
                              " WHERE indrelid = 'orders'::regclass") == 1);
}

TEST_CASE("a column is added behind somebody's open transaction without holding up the writers") {
    Types types;
    types.write(order_type(kNumber));
    REQUIRE(types.schema("apply").exit_code == 0);
    OpenTransaction reader(types.leader, "orders");
    types.write(order_type(std::string(kNumber) + R"(, "note": {"type": "string"})"));
    CommandResult applied;
    std::thread person([&] { applied = types.schema("apply"); });
    std::chrono::duration<double> longest{0};
    for (int i = 0; i < 40; ++i) {
        const auto started = Clock::now();
        types.leader.query("INSERT INTO orders (origin, seq, time) VALUES (1, 1, now())");
        longest = std::max<std::chrono::duration<double>>(longest, Clock::now() - started);
        sleep_ms(50);
    }
    CHECK(longest < 5s);  // a turn is 250 ms; behind the transaction it would be minutes
    CHECK(types.leader.number("SELECT count(*) FROM information_schema.columns"
                              " WHERE table_name = 'orders' AND column_name = 'note'") == 0);
    reader.end(types.leader);
    person.join();
    INFO(applied.output);
    CHECK(applied.exit_code == 0);
}

TEST_CASE("days are made for late events and dropped after retention, behind no open transaction") {
    // Method: somebody's transaction has read the table and stays open. An event of a day that has
    // no partition lands all the same. Then the type's retention is shortened; a day past it stays
    // until nobody is in the way.
    BridgeOptions options;
    // Whoever waited for a lock as long as it may would hold up the writers for all of the test.
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "300"},
                           {"HOMEWARD_POSTGRES_LOCK_TIMEOUT_MS", "120000"}};
    Bridge bridge(options);
    std::filesystem::create_directory(bridge.dir() / "types");
    const auto write_type = [&](int retention_days) {
        std::ofstream(bridge.dir() / "types/order.json")
            << order_type(kNumber, R"(, "retention_days": )" + std::to_string(retention_days));
    };
    write_type(30);
    bridge.environment()["HOMEWARD_SCHEMA_TYPES_DIR"] = bridge.dir() / "types";
    bridge.start_consumer();
    PostgresServer& leader = bridge.leader();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    std::uint64_t seq = 0;
    const auto send = [&](int days) {
        sender.send(sender.frame_of(
            ++seq, {R"({"type":"order","number":1,"unheard_of":{"a":[1]},"time":")" +
                    days_ago(leader, days, "YYYY-MM-DD") + R"(T12:00:00Z"})"}));
    };
    const auto count = [&] { return leader.number("SELECT count(*) FROM orders"); };
    OpenTransaction reader(leader, "orders");
    send(0);
    send(4);
    send(9);
    CHECK(wait_until(30s, [&] { return count() == 3; }));
    CHECK(leader.query("SELECT DISTINCT extra FROM orders") ==
          Rows{{R"({"unheard_of": {"a": [1]}})"}});

    CHECK(bridge.stop_consumer() == 0);
    write_type(5);
    bridge.start_consumer();  // looks after the days at once
    for (int i = 0; i < 20; ++i) {
        send(0);
        sleep_ms(50);
    }
    CHECK(wait_until(30s, [&] { return count() == 23; }));
    CHECK(bridge.metric("homeward_retries_total") == 0);
    const std::string expired = "orders_" + days_ago(leader, 9, "YYYYMMDD");
    CHECK(leader.query("SELECT to_regclass('" + expired + "')") == Rows{{expired}});
    reader.end(leader);
    CHECK(wait_until(40s, [&] { return count() == 22; }));
    CHECK(leader.query("SELECT to_regclass('" + expired + "')") == Rows{{""}});
    expect_clean(bridge);
}

TEST_CASE(
    "an override changes a shipped type's retention, indexes, columns, storage and NOT NULL") {
    Types types;
    REQUIRE(types.schema("apply").exit_code == 0);
    const auto not_null = [&] {
        return types.leader.number(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'audit_events'::regclass"
            " AND attname = 'resource' AND attnotnull");
    };
    CHECK(not_null() == 1);
    types.write("audit.override.json", R"({
        "title": "audit",
        "properties": {"tenant": {"type": "integer", "description": "Whose it is"}},
        "required": ["actor", "action", "outcome"],
        "x-homeward": {
            "retention_days": 400,
            "indexes": [{"columns": ["origin", "seq"]}, {"columns": ["tenant", "time"]},
                        {"columns": ["detail"], "method": "gin"}],
            "storage": {"detail": "external", "resource": "lz4"}}})");
    const CommandResult plan = types.schema("plan");
    INFO(plan.output);
    CHECK_THAT(plan.output, Contains(R"(ADD COLUMN "tenant" bigint)") &&
                                Contains(R"(ALTER COLUMN "resource" DROP NOT NULL)") &&
                                Contains(R"(USING btree ("origin", "seq"))") &&
                                Contains(R"(USING btree ("tenant", "time"))") &&
                                Contains(R"(USING gin ("detail"))") &&
                                Contains(R"(ALTER COLUMN "detail" SET STORAGE external)") &&
                                Contains(R"(ALTER COLUMN "resource" SET COMPRESSION lz4)") &&
                                Contains("400) ON CONFLICT") &&
                                Contains(R"("tenant" IS 'Whose it is')"));
    const CommandResult applied = types.schema("apply");
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    CHECK_THAT(types.schema("plan").output, Contains("up to date"));
    CHECK(not_null() == 0);
    CHECK(types.leader.number("SELECT retention_days FROM homeward.event_type"
                              " WHERE name = 'audit'") == 400);
    // Days that are there, and those to come, have it all.
    CHECK(types.leader.number("SELECT count(*) FROM pg_index i JOIN pg_inherits p"
                              " ON p.inhrelid = i.indrelid"
                              " WHERE p.inhparent = 'audit_events'::regclass") >= 4);
    CHECK(types.leader.number("SELECT count(*) FROM pg_attribute a JOIN pg_inherits p"
                              " ON p.inhrelid = a.attrelid"
                              " WHERE p.inhparent = 'audit_events'::regclass"
                              " AND a.attname = 'detail' AND a.attstorage <> 'e'") == 0);

    // Taken back, nothing is dropped.
    types.write("audit.override.json", R"({"title": "audit"})");
    CHECK_THAT(types.schema("plan").output, !Contains("DROP") && !Contains("SET NOT NULL"));
}

TEST_CASE(
    "an override that publishers would not survive is refused, with its file and what it may") {
    Types types;
    const std::pair<const char*, const char*> refused[] = {
        {R"({"title": "audit", "properties": {"actor": {"type": "integer"}}})",
         "has a field \"actor\" already"},
        {R"({"title": "audit", "required": ["actor", "request_id"]})", "may only leave fields out"},
        {R"({"title": "audit", "x-homeward": {"table": "other"}})", "cannot change \"table\""},
        {R"({"title": "audit", "type": "object"})", "cannot change \"type\""},
        {R"({"title": "nosuch"})", "is no type that Homeward ships"},
        {R"({"properties": {}})", "\"title\" is missing"},
        {R"({"title": "audit", "x-homeward": {"storage": {"actor": "far"}}})", "must be plain"},
        {R"({"title": "audit", "x-homeward": {"storage": {"nose": "lz4"}}})", "does not have"},
        {R"([1])", "must be a JSON object"},
        {R"({"title": "audit", "title": "audit"})", "duplicate key"},
    };
    for (const auto& [text, reason] : refused) {
        types.write("audit.override.json", text);
        const CommandResult result = types.schema("plan");
        INFO(text << "\n" << result.output);
        CHECK(result.exit_code == 2);
        CHECK_THAT(result.output, Contains(reason) && Contains("audit.override.json"));
    }
}

TEST_CASE(
    "tables and columns have the descriptions of their types as comments, unless you gave one") {
    Types types;
    types.write(R"({"title": "order", "description": "It's an order.", "type": "object",
        "properties": {"number": {"type": "integer", "description": "As printed"}},
        "x-homeward": {"class": "audit", "table": "orders", "partition": "day"}})");
    REQUIRE(types.schema("apply").exit_code == 0);
    const auto comment = [&](const std::string& table, int column) {
        const std::string id = "'" + table + "'::regclass";
        return types.leader.query(column == 0 ? "SELECT obj_description(" + id + ", 'pg_class')"
                                              : "SELECT col_description(" + id + ", " +
                                                    std::to_string(column) + ")")[0][0];
    };
    CHECK(comment("orders", 0) == "It's an order.");
    CHECK(comment("orders", 4) == "As printed");
    CHECK(comment("audit_events", 4) == "Who: a user, a service, a key");
    CHECK(types.leader.number("SELECT count(*) FROM pg_attribute a WHERE attnum > 0"
                              " AND attrelid = 'audit_events'::regclass"
                              " AND col_description(attrelid, attnum) IS NULL") == 0);
    types.leader.query("COMMENT ON TABLE orders IS 'mine'");
    CHECK_THAT(types.schema("plan").output, Contains("up to date"));
    REQUIRE(types.schema("apply").exit_code == 0);
    CHECK(comment("orders", 0) == "mine");
}
