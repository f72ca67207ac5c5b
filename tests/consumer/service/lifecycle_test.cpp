// Start, reload, long pauses and stop of the real consumer.

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "schemas/nats/subject.hpp"
#include "schemas/wire/frame.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/unread_pipe.hpp"
#include "tests/support/servers/bad_server.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

/// Frames of one publisher, `count` events each.
class Frames {
  public:
    explicit Frames(Bridge& bridge) : client_(bridge.leaf().port()) {}

    void send(std::uint32_t count) {
        FrameHeader header;
        header.publisher = publisher_;
        header.seq_first = next_;
        header.seq_count = header.line_count = count;
        next_ += count;
        header.accepted = next_ - 1;
        std::string body;
        for (std::uint32_t i = 0; i < count; ++i) body += std::string(kLine) + "\n";
        std::vector<std::byte> frame;
        REQUIRE(encoder_.encode(header, body, frame));
        client_.publish(frame_subject(EventClass::audit, "ams", "shop"),
                        {reinterpret_cast<const char*>(frame.data()), frame.size()});
    }
    std::uint64_t sent() const { return next_ - 1; }

  private:
    NatsClient client_;
    FrameEncoder encoder_;
    PublisherId publisher_ = PublisherId::random();
    std::uint64_t next_ = 1;
};

std::uint64_t rows(Bridge& bridge) {
    return static_cast<std::uint64_t>(bridge.leader().number("SELECT count(*) FROM audit_events"));
}

void expect_clean(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
}

/// The socket that a service manager would listen on.
class NotifySocket {
  public:
    explicit NotifySocket(std::string path) : path_(std::move(path)) {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        const timeval patience{30, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~NotifySocket() { ::close(fd_); }

    /// The next word but WATCHDOG=1, which comes again and again.
    std::string next_word() {
        for (;;) {
            char buffer[256];
            const ssize_t bytes = ::recv(fd_, buffer, sizeof buffer, 0);
            const std::string word(buffer, bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
            if (word != "WATCHDOG=1") return word.substr(0, word.find('\n'));
            ++watchdogs;
        }
    }
    int watchdogs = 0;

  private:
    std::string path_;
    int fd_;
};

}  // namespace

TEST_CASE("a stop under load is over in 5 s, and leaves no redelivery to the next consumer") {
    // Method: 400 frames wait, and more arrive while the consumer is told to stop; five times.
    Bridge bridge;
    Frames frames(bridge);
    for (int i = 0; i < 400; ++i) frames.send(50);
    for (int stop = 0; stop < 5; ++stop) {
        bridge.start_consumer();
        for (int i = 0; i < 40 * stop; ++i) frames.send(10);
        if (stop == 0) CHECK(wait_until(30s, [&] { return rows(bridge) > 0; }));
        CHECK(bridge.metric("homeward_redelivered_total") == 0);
        bridge.consumer().signal(SIGTERM);
        const auto started = Clock::now();
        for (int i = 0; i < 20; ++i) frames.send(10);
        CHECK(bridge.consumer().wait(30s) == 0);
        CHECK(Clock::now() - started < 5s);
    }
    bridge.start_consumer();
    expect_clean(bridge);
    CHECK(rows(bridge) == frames.sent());
    CHECK(bridge.metric("homeward_redelivered_total") == 0);
}

TEST_CASE("a stop while the leader does not answer is over in 5 s as well, and loses nothing") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"}};
    Bridge bridge(options);
    bridge.start_consumer();
    Frames frames(bridge);
    frames.send(10);
    CHECK(wait_until(30s, [&] { return rows(bridge) == 10; }));
    const bool is_frozen = GENERATE(true, false);
    if (is_frozen) {
        bridge.leader().freeze();
    } else {
        bridge.leader().stop();
    }
    for (int i = 0; i < 50; ++i) frames.send(10);
    sleep_ms(500);
    const auto started = Clock::now();
    CHECK(bridge.stop_consumer() == 0);
    CHECK(Clock::now() - started < 5500ms);
    if (is_frozen) {
        bridge.leader().thaw();
    } else {
        bridge.leader().start();
    }
    bridge.start_consumer();
    expect_clean(bridge);
    CHECK(rows(bridge) == frames.sent());
}

TEST_CASE("a pause longer than ack_wait brings no redelivery") {
    // Method: the consumer cannot write for twice ack_wait, as a table of the ledger is gone; it
    // has some messages in hand, and more than it takes at once wait behind them.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "3000"},
                           {"HOMEWARD_BATCH_ROWS_MAX", "50"}};
    Bridge bridge(options);
    bridge.start_consumer();
    bridge.leader().query("ALTER TABLE homeward.ledger_frame RENAME TO hidden");
    Frames frames(bridge);
    for (int i = 0; i < 200; ++i) frames.send(10);
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_paused") == 1; }));
    sleep_ms(6000);
    CHECK(bridge.admin("/readyz").find("503") != std::string::npos);
    bridge.leader().query("ALTER TABLE homeward.hidden RENAME TO ledger_frame");
    expect_clean(bridge);
    CHECK(rows(bridge) == frames.sent());
    CHECK(bridge.metric("homeward_redelivered_total") == 0);
    CHECK(bridge.metric("homeward_paused") == 0);
}

TEST_CASE("what a killed consumer had in hand is on the leader some seconds later") {
    // Method: durables as v0.1.0 made them, the consumer with its defaults. Its transaction waits
    // for a lock until deadlines have been extended; then it is killed.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "30000"}};
    Bridge bridge(options);
    bridge.environment().erase("HOMEWARD_PULL_ACK_WAIT_MS");
    bridge.start_consumer();
    CHECK(bridge.consumer_log().find("ack_wait 30000 ms -> 4000 ms") != std::string::npos);
    Frames frames(bridge);
    frames.send(10);
    CHECK(wait_until(30s, [&] { return rows(bridge) == 10; }));
    const PostgresServer& leader = bridge.leader();
    Process locker(
        {"psql", "-q", leader.url(), "-c", "BEGIN; LOCK TABLE audit_events; SELECT pg_sleep(300)"},
        {.log = "/dev/null"});
    const auto sessions = [&](const std::string& condition) {
        return leader.number("SELECT count(*) FROM pg_stat_activity WHERE " + condition);
    };
    REQUIRE(wait_until(20s, [&] { return sessions("wait_event = 'PgSleep'") == 1; }));
    for (int i = 0; i < 100; ++i) frames.send(10);
    REQUIRE(wait_until(20s, [&] { return sessions("wait_event_type = 'Lock'") > 0; }));
    sleep_ms(3000);
    bridge.kill_consumer();
    const auto killed = Clock::now();
    leader.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    bridge.start_consumer();
    CHECK(wait_until(60s, [&] { return rows(bridge) == frames.sent(); }));
    // 5 s on an idle machine.
    CHECK(Clock::now() - killed < 12s);
    CHECK(bridge.metric("homeward_redelivered_total") > 0);
    expect_clean(bridge);
}

TEST_CASE("SIGHUP takes over new batch settings, and refuses bad ones") {
    Bridge bridge;
    const std::filesystem::path file = bridge.dir() / "homeward.toml";
    const auto write_config = [&](const std::string& delay_ms) {
        std::ofstream(file) << "[batch]\nadaptive_delay = false\ndelay_ms = " << delay_ms << "\n";
    };
    write_config("9000");
    ProcessOptions options;
    options.environment = bridge.environment();
    options.log = bridge.dir() / "consumer.log";
    Process consumer({HOMEWARD_CONSUMER_PROGRAM, "--config", file, "run"}, options);
    REQUIRE(wait_until(20s, [&] { return !bridge.admin("/livez").empty(); }));
    Frames frames(bridge);
    /// Whether an event is on the leader within 6 s.
    const auto is_quick = [&] {
        frames.send(1);
        const bool quick = wait_until(6s, [&] { return rows(bridge) == frames.sent(); });
        CHECK(wait_until(30s, [&] { return rows(bridge) == frames.sent(); }));
        return quick;
    };
    const auto reload = [&](const std::string& delay_ms, const std::string& said) {
        write_config(delay_ms);
        consumer.signal(SIGHUP);
        CHECK(
            wait_until(30s, [&] { return bridge.consumer_log().find(said) != std::string::npos; }));
    };
    CHECK_FALSE(is_quick());
    reload("0", "delay_ms 0,");
    CHECK(is_quick());
    reload("\"soon\"",
           "delay_ms is \"soon\"; expected a whole number from 0 to 10000; the settings "
           "stay as they were");
    CHECK(is_quick());
    CHECK(consumer.stop() == 0);
}

TEST_CASE("systemd hears of start, life, reload and stop") {
    Bridge bridge;
    NotifySocket socket(bridge.dir() / "notify");
    bridge.environment()["NOTIFY_SOCKET"] = bridge.dir() / "notify";
    bridge.environment()["WATCHDOG_USEC"] = "400000";
    bridge.start_consumer();
    CHECK(socket.next_word() == "READY=1");
    sleep_ms(1500);
    bridge.consumer().signal(SIGHUP);
    CHECK(socket.next_word() == "RELOADING=1");
    CHECK(socket.watchdogs >= 4);
    CHECK(socket.next_word() == "READY=1");
    CHECK(bridge.stop_consumer() == 0);
    CHECK(socket.next_word() == "STOPPING=1");
}

TEST_CASE("a durable or a stream that vanishes is named, and made again") {
    Bridge bridge;
    bridge.start_consumer();
    Frames frames(bridge);
    frames.send(10);
    CHECK(wait_until(30s, [&] { return rows(bridge) == 10; }));
    NatsClient admin(bridge.leaf().port());
    const auto is_held = [&] {
        return bridge.metric("homeward_held{kind=\"stream\",name=\"HOMEWARD_AUDIT_ams\"}") == 1;
    };
    const auto description = [&] {
        return admin.request("$JS.API.CONSUMER.INFO.HOMEWARD_AUDIT_ams.homeward_audit_ams", "");
    };
    REQUIRE(description().find("acknowledged for PostgreSQL") != std::string::npos);

    admin.request("$JS.API.CONSUMER.DELETE.HOMEWARD_AUDIT_ams.homeward_audit_ams", "");
    frames.send(100);
    CHECK(wait_until(30s, is_held));
    CHECK(bridge.admin("/status.json").find("HOMEWARD_AUDIT_ams or its durable") !=
          std::string::npos);
    CHECK(wait_until(60s, [&] { return rows(bridge) == 110; }));
    CHECK(wait_until(30s, [&] { return !is_held(); }));
    CHECK(description().find("acknowledged for PostgreSQL") != std::string::npos);

    admin.request("$JS.API.STREAM.DELETE.HOMEWARD_AUDIT_ams", "");
    CHECK(wait_until(30s, is_held));
    CHECK(wait_until(60s, [&] { return !is_held(); }));
    frames.send(100);
    CHECK(wait_until(60s, [&] { return rows(bridge) == 210; }));
    CHECK(bridge.consumer_log().find("create durable") != std::string::npos);
    CHECK(bridge.consumer_log().find("create stream HOMEWARD_AUDIT_ams") != std::string::npos);
    expect_clean(bridge);
}

TEST_CASE("a stop during the start is over at once, whoever does not answer") {
    Bridge bridge;
    const BadServer nats(BadServer::Manner::stops_after_greeting);
    const bool is_leader = GENERATE(true, false);
    if (is_leader) {
        bridge.leader().freeze();
    } else {
        bridge.environment()["HOMEWARD_NATS_URLS"] = nats.url();
    }
    ProcessOptions options;
    options.environment = bridge.environment();
    options.log = bridge.dir() / "log";
    Process consumer({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    sleep_ms(1'500);
    REQUIRE(consumer.is_running());
    const auto started = Clock::now();
    consumer.signal(SIGTERM);
    CHECK(consumer.wait(30s) == 0);
    CHECK(Clock::now() - started < 3s);
    if (is_leader) bridge.leader().thaw();
}

TEST_CASE("a stop is over in 5 s when nobody reads the log") {
    Bridge bridge;
    const UnreadPipe pipe;
    ProcessOptions options;
    options.environment = bridge.environment();
    options.log = pipe.path();
    Process consumer({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    sleep_ms(3'000);
    REQUIRE(consumer.is_running());
    const auto started = Clock::now();
    consumer.signal(SIGTERM);
    CHECK(consumer.wait(15s) == 0);
    CHECK(Clock::now() - started < 5500ms);
}
