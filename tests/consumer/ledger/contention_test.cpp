// Several consumers on the same origins: repeated frames, frozen consumers, deadlocks.

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
