// Names that Homeward would give its tables, and that others' tables have already.

#include <fstream>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/postgres_server.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

CommandResult apply_schema(const PostgresServer& leader, const std::string& types_dir = "") {
    ProcessOptions options;
    options.environment = {{"HOMEWARD_POSTGRES_URL", leader.url()}, {"HOMEWARD_SOURCES", "ams"}};
    if (!types_dir.empty()) options.environment["HOMEWARD_SCHEMA_TYPES_DIR"] = types_dir;
    return run_command({HOMEWARD_CONSUMER_PROGRAM, "schema", "apply"}, options, 120s);
}

/// A login that may make tables in `public`, as any could before PostgreSQL 15.
void make_stranger(const PostgresServer& leader) {
    leader.query("CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO stranger");
}

}  // namespace

TEST_CASE("a table that has a day's name already is not attached, and the day has a partition") {
    // Method: a stranger makes a table with a trigger, the owner a copy without NOT NULL, both
    // named like the partition of a day that is to come.
    PostgresServer leader;
    const CommandResult applied = apply_schema(leader);
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    make_stranger(leader);
    leader.query(
        "GRANT SELECT ON audit_events TO stranger; SET ROLE stranger;"
        "CREATE FUNCTION public.surprise() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'surprise'; END $$;"
        "CREATE TABLE public.audit_events_20300101 (LIKE audit_events INCLUDING ALL);"
        "CREATE TRIGGER surprise BEFORE INSERT ON public.audit_events_20300101 FOR EACH ROW"
        " EXECUTE FUNCTION public.surprise();"
        "RESET ROLE; CREATE TABLE public.audit_events_20300102 AS SELECT * FROM audit_events");
    const char* days = "'{2030-01-01,2030-01-02,2030-01-03}'";
    const auto ensure = [&] {
        return leader.number(
            std::string("SELECT homeward.ensure_partitions('public', 'audit_events', ") + days +
            ")");
    };
    CHECK(ensure() == 3);
    CHECK(ensure() == 0);
    CHECK(leader.query("SELECT part::text FROM homeward.day_partitions('audit_events')"
                       " WHERE day >= '2030-01-03'") == Rows{{"audit_events_20300103"}});
    leader.query(
        "INSERT INTO audit_events (origin, seq, time, actor, action, resource, outcome)"
        " SELECT 1, i, date '2030-01-01' + i * interval '12 h', 'a', 'b', 'c', 'allowed'"
        " FROM generate_series(0, 3) AS i");
    CHECK(leader.number("SELECT count(*) FROM audit_events") == 4);
    CHECK(leader.number("SELECT count(*) FROM audit_events_20300101") == 0);
    CHECK(leader.number("SELECT count(*) FROM audit_events_20300102") == 0);
}

TEST_CASE("a new event type does not take a table that another login made") {
    PostgresServer leader;
    const TempDir types;
    std::ofstream(types / "order.json") << R"({"title": "order", "type": "object", "properties": {
        "number": {"type": "integer"}}, "x-homeward": {"class": "audit", "table": "orders"}})";
    make_stranger(leader);
    leader.query(
        "SET ROLE stranger;"
        "CREATE TABLE public.orders (origin int4, seq int8, time timestamptz, number int8,"
        " extra jsonb)");
    const CommandResult refused = apply_schema(leader, types.path().string());
    CHECK(refused.exit_code != 0);
    CHECK_THAT(refused.output, Contains("event type \"order\" needs the name orders") &&
                                   Contains("public.orders belongs to role stranger"));
    CHECK(leader.query("SELECT to_regclass('homeward.event_type')") == Rows{{""}});
    // Once it is the owner's.
    leader.query("ALTER TABLE public.orders OWNER TO CURRENT_USER");
    const CommandResult taken = apply_schema(leader, types.path().string());
    INFO(taken.output);
    CHECK(taken.exit_code == 0);
    // A type that has its table keeps it, whoever owns it later.
    leader.query("ALTER TABLE public.orders OWNER TO stranger");
    CHECK(apply_schema(leader, types.path().string()).exit_code == 0);
}

TEST_CASE("a schema homeward that another login made first is not used") {
    // Method: empty, and with all that belongs in it.
    PostgresServer leader;
    const bool is_whole = GENERATE(false, true);
    leader.query("CREATE ROLE stranger LOGIN; GRANT CREATE ON DATABASE postgres TO stranger");
    if (is_whole) {
        REQUIRE(apply_schema(leader).exit_code == 0);
        leader.query("ALTER SCHEMA homeward OWNER TO stranger");
    } else {
        leader.query("SET ROLE stranger; CREATE SCHEMA homeward");
    }
    const auto is_refused = [&] {
        const CommandResult refused = apply_schema(leader);
        CHECK_THAT(refused.output, Contains("schema homeward belongs to role stranger"));
        return refused.exit_code != 0;
    };
    CHECK(is_refused());
    const std::string roles = read_file(HOMEWARD_ROLES_SQL);
    CHECK_THROWS_WITH(leader.query(roles), Contains("schema homeward belongs to role stranger"));

    leader.query("ALTER SCHEMA homeward OWNER TO CURRENT_USER");
    CHECK(apply_schema(leader).exit_code == 0);
    leader.query("CREATE ROLE homeward_owner; ALTER SCHEMA homeward OWNER TO homeward_owner");
    CHECK(apply_schema(leader).exit_code == 0);
    leader.query(roles);
    // The database's owner may do all of that anyway.
    leader.query(
        "ALTER SCHEMA homeward OWNER TO stranger; ALTER DATABASE postgres OWNER TO stranger");
    CHECK(apply_schema(leader).exit_code == 0);
    leader.query(roles);
}
