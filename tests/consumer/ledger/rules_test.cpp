// What must hold of the ledger, rule by rule, through the real consumer: each was learnt by
// breaking it (DESIGN, "The idea: the range ledger").

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/frame_publisher.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// All that is sent within half a second lands in one transaction.
BridgeOptions one_batch() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_DELAY_MS", "500"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"},
                           {"HOMEWARD_BATCH_WRITERS", "1"}};
    return options;
}

/// Asked while the consumer itself compacts, compact() leaves it to that.
void compact_all(const PostgresServer& leader) {
    REQUIRE(wait_until(30s, [&] {
        leader.query("SELECT homeward.compact()");
        return leader.number("SELECT count(*) FROM homeward.ledger_frame") == 0;
    }));
}

}  // namespace

TEST_CASE("a frame that is in a batch twice lands once") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string frame = sender.frame(1, 100);
    for (int copy = 0; copy < 3; ++copy) sender.send(frame);
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 100);
    CHECK(bridge.metric("homeward_skipped_events_total") == 200);
    CHECK(bridge.metric("homeward_batches_total") == 1);  // else it was not one batch
}

TEST_CASE("a frame that comes again makes no dead letters of a user's own unique index") {
    Bridge bridge(one_batch());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("CREATE UNIQUE INDEX ON audit_events (resource, origin, time)");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string first = sender.frame(1, 100);
    sender.send(first);
    expect_clean(bridge);
    sender.send(first);
    sender.send(sender.frame(101, 50));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 150);
    CHECK(dead_letters(bridge.leader()) == 0);
    CHECK(bridge.metric("homeward_redos_total") >= 1);
}

TEST_CASE("a frame that overlaps settled seqs only in part is quarantined, and the proof says so") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    SECTION("before the compaction") {}
    SECTION("after the compaction") {
        compact_all(bridge.leader());
    }
    sender.send(sender.frame(6, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    CHECK(rows(bridge.leader()) == 10);
    CHECK(bridge.leader().query("SELECT seq_first, seq_last, length(frame) > 68"
                                " FROM homeward.conflict") == Rows{{"6", "15", "t"}});
    sender.send(sender.frame(16, 5));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 15; }));
    const CommandResult result = bridge.consumer_command({"proof", "--final"});
    INFO(result.output);
    CHECK(result.exit_code == 1);  // 11 to 15 are nowhere
    CHECK(result.output.find(" missing=5 ") != std::string::npos);
}

TEST_CASE("two frames of one batch that overlap in part: the first lands, the other is kept") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    sender.send(sender.frame(6, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
}

TEST_CASE("an origin stays with the region and app that it was first seen under") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    sender.send_as("ams", "thief", sender.frame(11, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    sender.send(sender.frame(11, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 20);
    CHECK(bridge.leader().query("SELECT app, seq_first FROM homeward.conflict") ==
          Rows{{"thief", "11"}});
}

TEST_CASE("an origin's frames from another region are quarantined, and settle nothing of it") {
    // Method: two regions, whose streams one server has; the thief may publish in his own alone.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SOURCES", "ams@ams,syd@ams"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    sender.send_as("syd", "shop", sender.frame(11, 10));
    sender.send_as("syd", "shop", sender.closing_mark(10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 2; }));
    CHECK(bridge.leader().query("SELECT DISTINCT region, app FROM homeward.conflict") ==
          Rows{{"syd", "shop"}});
    CHECK(rows(bridge.leader()) == 10);
    CHECK(bridge.leader().query("SELECT state FROM homeward.proof") == Rows{{"active"}});
    sender.send(sender.frame(11, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 20);
}

TEST_CASE("thousands of holes are kept and filled in any order, with compactions in between") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "100"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    constexpr std::uint64_t kFrames = 4'000;
    for (std::uint64_t i = 0; i < kFrames; ++i) sender.send(sender.frame(4 * i + 3, 2));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 2 * kFrames; }));
    compact_all(bridge.leader());
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.ledger, unnest(settled)") ==
          kFrames);
    std::vector<std::uint64_t> holes(kFrames);
    for (std::uint64_t i = 0; i < kFrames; ++i) holes[i] = 4 * i + 1;
    std::shuffle(holes.begin(), holes.end(), std::mt19937_64(7));
    for (std::uint64_t first : holes) sender.send(sender.frame(first, 2));
    sender.send(sender.closing_mark(4 * kFrames));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 4 * kFrames);
    compact_all(bridge.leader());
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.ledger, unnest(settled)") == 1);
    CHECK(bridge.leader().query("SELECT state FROM homeward.proof") == Rows{{"complete"}});
}

TEST_CASE("four consumers on the same origins, hostile defaults and an old snapshot: once each") {
    // Method: every frame is in the stream three times, in random order; deliveries are repeated
    // after a second; a snapshot is held all the while; the database's own defaults for isolation
    // and timeouts are the worst there are. One consumer is stopped (SIGSTOP) now and then.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "1000"},
                           {"HOMEWARD_PULL_MESSAGES_MAX", "64"},
                           {"HOMEWARD_BATCH_ROWS_MAX", "3000"},
                           {"HOMEWARD_POSTGRES_LOCK_TIMEOUT_MS", "500"},
                           {"HOMEWARD_POSTGRES_STATEMENT_TIMEOUT_MS", "1500"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "100"}};
    Bridge bridge(options);
    bridge.leader().query(
        "ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'");
    bridge.leader().query("ALTER DATABASE postgres SET lock_timeout = 0");
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    Process snapshot({"psql", "-q", bridge.leader().url(), "-c",
                      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT pg_sleep(60)"},
                     {.log = bridge.dir() / "snapshot.log"});
    constexpr int kOrigins = 5;
    constexpr int kFrames = 60;
    std::mt19937_64 random(11);
    std::vector<std::unique_ptr<FramePublisher>> senders;
    std::vector<std::pair<int, std::string>> frames;
    for (int origin = 0; origin < kOrigins; ++origin) {
        senders.push_back(std::make_unique<FramePublisher>(bridge.leaf().port(), "ams", "shop"));
        for (int i = 0; i < kFrames; ++i) {
            const std::string frame =
                senders.back()->frame(static_cast<std::uint64_t>(i) * 50 + 1, 50);
            for (int copy = 0; copy < 3; ++copy) frames.emplace_back(origin, frame);
        }
    }
    std::shuffle(frames.begin(), frames.end(), random);

    std::vector<Process> others;
    auto environment = bridge.environment();
    for (int i = 0; i < 3; ++i) {
        environment["HOMEWARD_ADMIN_LISTEN"] = "127.0.0.1:" + std::to_string(free_port());
        others.emplace_back(
            std::vector<std::string>{HOMEWARD_CONSUMER_PROGRAM, "run"},
            ProcessOptions{.environment = environment, .log = bridge.dir() / "others.log"});
    }
    bridge.start_consumer();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        senders[static_cast<std::size_t>(frames[i].first)]->send(frames[i].second);
        if (i % 150 == 100) others[i / 150 % 3].signal(SIGSTOP);
        if (i % 150 == 149) {
            sleep_ms(1'500);
            others[i / 150 % 3].signal(SIGCONT);
        }
    }
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == kOrigins * kFrames * 50);
    CHECK(distinct_rows(bridge.leader()) == kOrigins * kFrames * 50);
    CHECK(dead_letters(bridge.leader()) == 0);
    CHECK(conflicts(bridge.leader()) == 0);
    CHECK(snapshot.is_running());
    for (Process& other : others) CHECK(other.stop() == 0);
}

TEST_CASE("a consumer that is frozen anywhere holds up the others only for the stated timeouts") {
    // Method: one consumer reaches the leader through a proxy, which stops when a certain statement
    // has gone by, and then the consumer is stopped as well (SIGSTOP). Another gets its messages
    // after ack_wait. A frame that was settled before makes a batch ask the ledger first.
    enum class With { nothing, plain_message, settled_frame };
    struct Place {
        std::string statement;
        With with;
        bool is_the_end;  ///< nothing is left open behind it, so nobody else is needed
    };
    // That one comes first: what the others leave is delivered again, and then claimed first.
    const Place places[] = {{"homeward.settle(", With::nothing, true},
                            {"homeward.reserve_plain(", With::plain_message, false},
                            {"homeward.take_plain(", With::plain_message, false},
                            {"homeward.claim(", With::settled_frame, false},
                            // The housekeeper's own statement has the word COPY in it.
                            {"COPY \"public\"", With::plain_message, false},
                            {"COMMIT; SELECT", With::plain_message, true}};
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "1000"},
                           {"HOMEWARD_BATCH_DELAY_MS", "300"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"},
                           {"HOMEWARD_POSTGRES_LOCK_TIMEOUT_MS", "300"},
                           {"HOMEWARD_POSTGRES_STATEMENT_TIMEOUT_MS", "1500"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "300"}};
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    NatsClient plain(bridge.leaf().port());
    std::int64_t sent = 0;
    for (const Place& place : places) {
        INFO(place.statement);
        TcpProxy proxy(bridge.leader().port());
        std::atomic<bool> is_held{false};
        proxy.watch([&](std::string_view bytes) {
            const bool is_it = bytes.find(place.statement) != std::string_view::npos;
            return is_it && !is_held.exchange(true) ? TcpProxy::Act::hold : TcpProxy::Act::pass;
        });
        auto environment = bridge.environment();
        environment["HOMEWARD_ADMIN_LISTEN"] = "";
        environment["HOMEWARD_POSTGRES_URL"] =
            "postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres";
        Process frozen({HOMEWARD_CONSUMER_PROGRAM, "run"},
                       {.environment = environment, .log = bridge.dir() / "frozen.log"});
        const auto send = [&] {
            sender.send(sender.frame(static_cast<std::uint64_t>(sent) + 1, 10));
            sent += 10;
        };
        std::int64_t plain_sent = 0;
        send();
        if (place.with == With::plain_message) {
            plain.publish("homeward.plain.ams.shop", audit_line("plain"));
            plain_sent = 1;
        }
        if (place.with == With::settled_frame) {
            // What the last one left unacknowledged may have come along, and is claimed already.
            REQUIRE(
                wait_until(30s, [&] { return is_held.load() || rows(bridge.leader()) == sent; }));
            sender.send(sender.frame(static_cast<std::uint64_t>(sent) - 9, 10));
        }
        REQUIRE(wait_until(30s, [&] { return is_held.load(); }));
        frozen.signal(SIGSTOP);
        const auto is_there = [&] { return rows(bridge.leader()) == sent + plain_sent; };
        if (!place.is_the_end) {
            bridge.start_consumer();
            send();
        }
        CHECK(wait_until(20s, is_there));
        bridge.leader().query("DELETE FROM audit_events WHERE resource = 'plain'");
        if (!place.is_the_end) CHECK(bridge.stop_consumer() == 0);
    }
    bridge.start_consumer();
    CHECK(wait_until(20s, [&] { return bridge.metric("homeward_skipped_events_total") >= 10; }));
    CHECK(rows(bridge.leader()) == sent);
    CHECK(distinct_rows(bridge.leader()) == sent);
}

TEST_CASE("an origin that claims absurdly many events spoils neither proof nor hole gauge") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher liar(bridge.leaf().port(), "ams", "shop");
    FramePublisher another(bridge.leaf().port(), "ams", "shop");
    FramePublisher honest(bridge.leaf().port(), "ams", "web");
    constexpr std::uint64_t kAbsurd = 1ULL << 48;  // a consumer refuses more
    liar.send(liar.frame(1, 10));
    liar.send(liar.closing_mark(kAbsurd));
    another.send(another.closing_mark(kAbsurd));
    honest.send(honest.frame(1, 10, 12));
    REQUIRE(wait_until(30s, [&] {
        return rows(bridge.leader()) == 20 &&
               bridge.leader().number(
                   "SELECT count(*) FROM homeward.origin_status WHERE is_closed") == 2;
    }));
    const std::string sum = "SELECT sum(in_flight + missing)::int8 FROM homeward.proof";
    constexpr std::int64_t kHoles = (2LL << 32) + 2;
    CHECK(bridge.leader().number(sum) == kHoles);
    compact_all(bridge.leader());
    CHECK(bridge.leader().number(sum) == kHoles);
    CHECK(wait_until(40s, [&] { return bridge.metric("homeward_holes") > 8.5e9; }));
    CHECK(bridge.consumer_command({"proof"}).output.find("in_flight=8589934594") !=
          std::string::npos);
}

TEST_CASE(
    "settled frames that are not marked as redelivered cost one rolled-back batch, not each") {
    // Method: a stream that was restored or mirrored, as a sender that sends all of it again.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_WRITERS", "1"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (std::uint64_t i = 0; i < 10; ++i) sender.send(sender.frame(1 + 10 * i, 10));
    REQUIRE(wait_until(30s, [&] { return rows(bridge.leader()) == 100; }));
    const auto skipped = [&] { return bridge.metric("homeward_skipped_events_total"); };
    for (std::uint64_t i = 0; i < 10; ++i) {  // a batch each
        sender.send(sender.frame(1 + 10 * i, 10));
        REQUIRE(wait_until(30s, [&] { return skipped() == 10.0 * static_cast<double>(i + 1); }));
    }
    CHECK(bridge.metric("homeward_redos_total") == 1);
    // Fresh frames are written at once again.
    sender.send(sender.frame(101, 10));
    sender.send(sender.frame(111, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 120);
    CHECK(bridge.metric("homeward_redos_total") == 1);
}

TEST_CASE("a careful batch and an optimistic one that deadlock are both tried again") {
    // Method: a trigger keeps the first writer behind its rows, in a user's unique index, and
    // before its ledger. The other gets a settled frame, too, and so claims first: it has claimed
    // the same frame by then, and waits for the rows.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_DELAY_MS", "300"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"}};
    Bridge bridge(options);
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("CREATE UNIQUE INDEX ON audit_events (resource, origin, time)");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string settled = sender.frame(2, 1);
    sender.send(settled);
    REQUIRE(wait_until(20s, [&] { return rows(bridge.leader()) == 1; }));
    bridge.leader().query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$");
    bridge.leader().query(
        "CREATE TRIGGER slow AFTER INSERT ON audit_events"
        " FOR EACH STATEMENT EXECUTE FUNCTION slow()");
    const std::string frame = sender.frame(1, 1);
    sender.send(frame);
    REQUIRE(wait_until(20s, [&] {
        return bridge.leader().number(
                   "SELECT count(*) FROM pg_stat_activity"
                   " WHERE wait_event = 'PgSleep'") == 1;
    }));
    sender.send(settled);
    sender.send(frame);
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 2; }));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 2);
    CHECK(dead_letters(bridge.leader()) == 0);
    CHECK(bridge.leader().log().find("deadlock detected") != std::string::npos);
    // Tried again at once: it is nothing that an operator has to look at.
    CHECK(bridge.consumer_log().find("writing pauses") == std::string::npos);
}

TEST_CASE("an origin with too many holes may fill them and go on, but begin no more ranges") {
    // Method: events of every other seq, until a compaction finds that they are too many; then
    // frames that begin a range, join one, and fill a hole.
    BridgeOptions options = one_batch();
    options.environment["HOMEWARD_LEDGER_RANGES_MAX"] = "100";
    options.environment["HOMEWARD_LEDGER_COMPACT_INTERVAL_MS"] = "200";
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher ragged(bridge.leaf().port(), "ams", "shop");
    FramePublisher other(bridge.leaf().port(), "ams", "web");
    for (std::uint64_t seq = 2; seq <= 240; seq += 2) ragged.send(ragged.frame(seq, 1));
    const auto ranges = [&] {
        return bridge.leader().number(
            "SELECT coalesce(max(homeward.range_count(settled)), 0) FROM homeward.origin_status");
    };
    const auto is_ragged = [&] {
        return bridge.leader().number("SELECT count(*) FROM homeward.ledger WHERE is_fragmented") ==
               1;
    };
    REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 120 && is_ragged(); }));

    SECTION("frames that begin a range are quarantined, also when they join one another") {
        for (std::uint64_t seq : {1'001, 1'011, 1'021}) ragged.send(ragged.frame(seq, 10));
        REQUIRE(wait_until(60s, [&] { return conflicts(bridge.leader()) == 3; }));
        CHECK(ranges() == 120);
        // Kept whole, with the reason; what they say of their origin is not believed either.
        CHECK(bridge.leader().number("SELECT count(*) FROM homeward.conflict WHERE reason LIKE"
                                     " '%ledger.ranges_max%' AND octet_length(frame) > 0") == 3);
        CHECK(bridge.leader().number("SELECT sum(in_flight) FROM homeward.proof") == 120);
    }
    SECTION("frames that go on from a range land, one by one and together, compacted or not") {
        ragged.send(ragged.frame(241, 10));
        REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 130; }));
        for (std::uint64_t seq : {251, 261, 271}) ragged.send(ragged.frame(seq, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 160; }));
        ragged.send(ragged.frame(281, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 170; }));
        CHECK(ranges() == 120);
        CHECK(conflicts(bridge.leader()) == 0);
    }
    SECTION("once enough holes are filled, a new range may begin") {
        for (std::uint64_t seq = 3; seq <= 101; seq += 2) ragged.send(ragged.frame(seq, 1));
        REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 170 && !is_ragged(); }));
        ragged.send(ragged.frame(1'001, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 180; }));
    }
    // Another origin in the same batches is not touched by any of it.
    const std::int64_t before = rows(bridge.leader());
    ragged.send(ragged.frame(5'001, 1));
    other.send(other.frame(7, 5));
    CHECK(wait_until(60s, [&] { return rows(bridge.leader()) >= before + 5; }));
    CHECK(bridge.stop_consumer() == 0);
}
