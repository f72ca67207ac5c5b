// How large a batch becomes: what has come while the last one was committed, within its limits.

#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kFrames = 40;
constexpr std::uint32_t kEvents = 50;

/// One writer, which commits whatever is there as soon as it can.
BridgeOptions eager() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_WRITERS", "1"}, {"HOMEWARD_BATCH_DELAY_MS", "0"}};
    return options;
}

/// Sends one frame, and many more while its transaction waits for a lock; how many batches these
/// become once it is over.
std::int64_t batches_of_backlog(const BridgeOptions& options) {
    Bridge bridge(options);
    bridge.start_consumer();
    const PostgresServer& leader = bridge.leader();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    Process locker(
        {"psql", "-q", leader.url(), "-c", "BEGIN; LOCK TABLE audit_events; SELECT pg_sleep(300)"},
        {.log = "/dev/null"});
    const auto sessions = [&](const std::string& condition) {
        return leader.number("SELECT count(*) FROM pg_stat_activity WHERE " + condition);
    };
    REQUIRE(wait_until(20s, [&] { return sessions("wait_event = 'PgSleep'") == 1; }));
    sender.send(sender.frame(1, kEvents));
    // Its first statement; housekeeping may wait for the table, too.
    REQUIRE(wait_until(20s, [&] {
        return sessions("wait_event_type = 'Lock' AND query LIKE '%ensure_partitions%'") >= 1;
    }));
    for (std::uint64_t i = 1; i <= kFrames; ++i) {
        sender.send(sender.frame(i * kEvents + 1, kEvents));
    }
    sleep_ms(500);  // the last ones are pulled as well
    leader.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    CHECK(leader.number("SELECT count(*) FROM audit_events") ==
          static_cast<std::int64_t>((kFrames + 1) * kEvents));
    return static_cast<std::int64_t>(bridge.metric("homeward_batches_total")) - 1;
}

}  // namespace

TEST_CASE("a batch grows while a transaction is under way, up to its limits of rows and bytes") {
    BridgeOptions options = eager();
    options.environment["HOMEWARD_POSTGRES_LOCK_TIMEOUT_MS"] = "60000";
    options.environment["HOMEWARD_POSTGRES_STATEMENT_TIMEOUT_MS"] = "60000";
    SECTION("all of it, where the limits allow it") {
        CHECK(batches_of_backlog(options) <= 3);  // one, but for what was pulled a moment too late
    }
    SECTION("no more rows than rows_max") {
        options.environment["HOMEWARD_BATCH_ROWS_MAX"] = "500";
        const std::int64_t batches = batches_of_backlog(options);
        CHECK(batches >= 4);
        CHECK(batches <= 8);
    }
    SECTION("no more bytes than bytes_max") {
        // A frame of 50 events has about 5 KB.
        options.environment["HOMEWARD_BATCH_BYTES_MAX"] = "65536";
        const std::int64_t batches = batches_of_backlog(options);
        CHECK(batches >= 3);
        CHECK(batches <= 12);
    }
}

TEST_CASE("a trickle waits as long as delay_ms and goes as one batch, if its delay is fixed") {
    BridgeOptions options = eager();
    options.environment["HOMEWARD_BATCH_DELAY_MS"] = "2000";
    options.environment["HOMEWARD_BATCH_ADAPTIVE_DELAY"] = "false";
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (std::uint64_t seq = 1; seq <= 10; ++seq) sender.send(sender.frame(seq, 1));
    sleep_ms(500);
    CHECK(bridge.metric("homeward_batches_total") == 0);
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_rows_total") == 10; }));
    CHECK(bridge.metric("homeward_batches_total") <= 2);
}

TEST_CASE("after a pause nothing waits, and slow transactions gather what comes meanwhile") {
    // Method: each transaction takes 300 ms, so the next begins 600 ms after it, with all of some
    // twenty frames that have come since.
    BridgeOptions options = eager();
    options.environment["HOMEWARD_BATCH_DELAY_MS"] = "10000";
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$");
    bridge.leader().query(
        "CREATE TRIGGER slow AFTER INSERT ON audit_events FOR EACH STATEMENT"
        " EXECUTE FUNCTION slow()");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 1));
    CHECK(wait_until(8s, [&] { return bridge.metric("homeward_rows_total") == 1; }));
    for (std::uint64_t seq = 2; seq <= 101; ++seq) {
        sender.send(sender.frame(seq, 1));
        sleep_ms(30);
    }
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_rows_total") == 101; }));
    CHECK(bridge.metric("homeward_batches_total") <= 20);
    CHECK(bridge.metric("homeward_batches_total") >= 3);
}
