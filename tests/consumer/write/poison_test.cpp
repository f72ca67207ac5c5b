// A few bad events among thousands: all others land in the same pass, and only those do not.

#include <fstream>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr const char* kReadingType = R"({
    "title": "reading",
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "code": {"type": "integer", "x-homeward": {"column": "integer"}},
        "note": {"type": "string"},
        "detail": {"type": "object"}
    },
    "required": ["number"],
    "x-homeward": {"class": "audit", "table": "readings", "partition": "day", "retention_days": 0}
})";

constexpr int kEvents = 5'000;
constexpr int kBad[] = {17, 2'500, 4'999};

/// 5,000 events, of which three have `bad` among their fields, and the others `good`.
std::vector<std::string> lines_with(const std::string& bad, const std::string& good) {
    std::vector<std::string> lines;
    for (int i = 1; i <= kEvents; ++i) {
        const bool is_bad = std::find(std::begin(kBad), std::end(kBad), i) != std::end(kBad);
        lines.push_back(R"({"type":"reading","number":)" + std::to_string(i) + "," +
                        (is_bad ? bad : good) + "}");
    }
    return lines;
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("three bad events among 5,000 become three dead letters in one pass, whatever is bad") {
    struct Poison {
        std::string what, bad, good, sqlstate;
        std::size_t copies_max;  ///< COPY statements, the first and vain one included
    };
    const Poison poisons[] = {
        // COPY names the line: one vain try for each, and one for what lies between.
        {"constraint", R"("note":"forbidden")", R"("note":"fine")", "23514", 10},
        // A trigger after the rows names none: halving, about 2 * log2(5,000) tries for each.
        {"trigger", R"("note":"late")", R"("note":"fine")", "P0001", 90},
        // One that is checked at COMMIT.
        {"deferred", R"("note":"orphan")", R"("note":"fine")", "23503", 90},
        // Met before the leader is asked.
        {"overflow", R"("code":3000000000)", R"("code":3)", "", 1},
        {"overflow of 64 bits", R"("code":99999999999999999999)", R"("code":3)", "", 1},
        {"time", R"("time":"294277-01-01T00:00:00Z")", R"("note":"fine")", "", 1},
        {"jsonb", R"("detail":{"n":1e400000})", R"("detail":{"n":1})", "", 1},
    };
    BridgeOptions options;
    options.leader_settings = {"log_statement = all"};
    options.environment = {{"HOMEWARD_BATCH_DELAY_MS", "300"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"},
                           {"HOMEWARD_BATCH_WRITERS", "1"}};
    Bridge bridge(options);
    std::filesystem::create_directory(bridge.dir() / "types");
    std::ofstream(bridge.dir() / "types/reading.json") << kReadingType;
    bridge.environment()["HOMEWARD_SCHEMA_TYPES_DIR"] = bridge.dir() / "types";
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    PostgresServer& leader = bridge.leader();
    leader.query("ALTER TABLE readings ADD CHECK (note <> 'forbidden')");
    leader.query(
        "CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.note = 'late' THEN RAISE EXCEPTION 'too late'; END IF;"
        " RETURN NULL; END $$");
    leader.query(
        "CREATE TRIGGER object AFTER INSERT ON readings"
        " FOR EACH ROW EXECUTE FUNCTION object()");
    leader.query(
        "CREATE TABLE note (note text PRIMARY KEY);"
        " INSERT INTO note VALUES ('fine'), ('late'), ('forbidden')");
    leader.query(
        "ALTER TABLE readings ADD FOREIGN KEY (note) REFERENCES note"
        " DEFERRABLE INITIALLY DEFERRED");
    bridge.start_consumer();

    int passes = 0;
    for (const Poison& poison : poisons) {
        INFO(poison.what);
        const std::size_t copies = count_of(leader.log(), "statement: COPY");
        FramePublisher sender(bridge.leaf().port(), "ams", "shop");
        sender.send(sender.frame_of(1, lines_with(poison.bad, poison.good)));
        ++passes;
        const bool is_done =
            wait_until(60s, [&] { return bridge.metric("homeward_batches_total") == passes; });
        INFO(bridge.consumer_log());
        CHECK(is_done);
        const std::string of_origin = " WHERE origin = (SELECT max(id) FROM homeward.known_origin)";
        CHECK(leader.number("SELECT count(*) FROM readings" + of_origin) == kEvents - 3);
        CHECK(leader.query("SELECT seq, coalesce(sqlstate, '') FROM homeward.dead_letter" +
                           of_origin + " ORDER BY seq") ==
              Rows{{"17", poison.sqlstate}, {"2500", poison.sqlstate}, {"4999", poison.sqlstate}});
        CHECK(count_of(leader.log(), "statement: COPY") - copies <= poison.copies_max);
    }
    expect_clean(bridge);
}
