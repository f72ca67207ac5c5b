// homeward-emit --listen statsd+…: from datagrams to rows of metric_points on a real leader.

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Catch::Matchers::Contains;

namespace {

/// homeward-emit on a UDP and a Unix socket in a directory of its own.
class Listener {
  public:
    explicit Listener(const std::string& nats, const std::vector<std::string>& more = {}) {
        std::vector<std::string> command{HOMEWARD_EMIT_PROGRAM,
                                         "--region",
                                         "ams",
                                         "--app",
                                         "side",
                                         "--server",
                                         nats,
                                         "--spool",
                                         dir_ / "spool",
                                         "--listen",
                                         "statsd+udp:127.0.0.1:0",
                                         "--listen",
                                         "statsd+unixgram:" + path().string(),
                                         "--statsd-interval",
                                         "1"};
        command.insert(command.end(), more.begin(), more.end());
        ProcessOptions options;
        options.log = dir_ / "log";
        process_ = Process(command, options);
        if (!wait_until(30s, [this] {
                return log().find(" for StatsD\n") != std::string::npos && port() > 0;
            })) {
            throw std::runtime_error("it does not listen:\n" + log());
        }
    }

    fs::path path() const { return dir_ / "statsd.sock"; }
    std::string log() const { return read_file(dir_ / "log"); }
    int port() const {
        const std::string text = log();
        const std::string before = "listening on 127.0.0.1:";
        const std::size_t at = text.find(before);
        return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + before.size());
    }
    Process& process() { return process_; }

  private:
    TempDir dir_;
    Process process_;
};

/// Sends datagrams to one of a listener's sockets.
class Sender {
  public:
    static Sender udp(const Listener& listener) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(listener.port()));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return Sender(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    static Sender unix_domain(const Listener& listener) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, listener.path().c_str(), sizeof address.sun_path - 1);
        return Sender(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    ~Sender() { ::close(socket_); }
    Sender(const Sender&) = delete;

    void send(std::string_view datagram) const { REQUIRE(try_to_send(datagram, 0)); }
    bool try_to_send(std::string_view datagram, int flags) const {
        return ::send(socket_, datagram.data(), datagram.size(), flags | MSG_NOSIGNAL) ==
               static_cast<ssize_t>(datagram.size());
    }

  private:
    Sender(int family, const sockaddr* address, socklen_t bytes)
        : socket_(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        REQUIRE(::connect(socket_, address, bytes) == 0);
    }
    int socket_;
};

std::string one(const PostgresServer& leader, const std::string& what, const std::string& name) {
    const auto rows =
        leader.query("SELECT " + what + " FROM metric_points WHERE name = '" + name + "'");
    REQUIRE(rows.size() == 1);
    return rows[0][0];
}

std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
    return count;
}

void expect_proof(Bridge& bridge) {
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
}

/// What the summary says behind `name`.
std::int64_t summary_of(const Listener& listener, const std::string& name) {
    const std::string log = listener.log();
    const std::size_t at = log.rfind(name + "=");
    REQUIRE(at != std::string::npos);
    return std::atoll(log.c_str() + at + name.size() + 1);
}

const std::vector<std::string> kRefused{"nothing", "a:1|s",     "a,b=c:1|c",
                                        "a:x|c",   "a:1|c|@2",  "a:1|c|#:b",
                                        "a:-1|c",  "calls:5|g", "_sc|Redis|2"};

void send_sample(const Sender& sender) {
    for (int i = 0; i < 10; ++i) {
        // The order of tags does not matter, nor do container and time.
        sender.send(
            "calls:1|c|@0.1|#route:/a,env:x\ncalls:1|c|@0.1|#env:x,route:/a|c:8f|T1656581400");
        sender.send("thirds:1|c|@0.3\nthirds:1|c|@0.3\r\n\n\nthirds:1|c|@0.3\n");
    }
    sender.send("fuel:10|g\nfuel:+4|g\nfuel:-2|g");
    sender.send("query:320|ms|@0.1|#db:main\nsong:1:2:3|d\nsong:4|h");
    sender.send("2xx count:7|c");
    sender.send("bytes:1|c|#who:caf\xe9,urgent,who:b\xff");
    for (const std::string& line : kRefused) sender.send(line + "\n" + line);
    sender.send("");
}

void check_sample(const PostgresServer& leader) {
    CHECK(one(leader, "sum(sum)::int8", "calls") == "400");
    CHECK(one(leader, "count(DISTINCT attributes)", "calls") == "1");
    CHECK(one(leader, "min(attributes ->> 'route')", "calls") == "/a");
    CHECK(one(leader, "sum(sum)::int8", "thirds") == "200");
    CHECK(one(leader, "max(kind)", "thirds") == "counter");
    CHECK(one(leader, "sum(count) || ' ' || sum(sum) || ' ' || min(unit)", "query") ==
          "20 6400 ms");
    CHECK(one(leader, "sum(count) || ' ' || sum(sum) || ' ' || min(min) || ' ' || max(max)",
              "song") == "8 20 1 4");
    CHECK(one(leader, "sum(sum)::int8", "statsd.2xx_count") == "14");
    CHECK(one(leader, "min(attributes ->> 'who') || min(attributes ->> 'urgent')", "bytes") ==
          "b\xef\xbf\xbdtrue");
    // The second round began with "fuel:10|g" again.
    CHECK(leader.query("SELECT value FROM metric_points WHERE name = 'fuel' ORDER BY time DESC, "
                       "seq DESC LIMIT 1")[0][0] == "12");
    for (const char* cause : {"format", "name", "value", "rate", "tags", "negative", "conflict"}) {
        INFO(cause);
        CHECK(one(leader,
                  "sum(sum) FILTER (WHERE attributes ->> 'cause' = '" + std::string(cause) +
                      "')::int8",
                  "homeward.statsd.refused_lines") == "4");
    }
}

}  // namespace

TEST_CASE("StatsD lines become rows that add up, and refused ones are counted by cause") {
    // Method: the same lines over UDP and a Unix socket; then the listener is frozen while more
    // datagrams arrive, and gets SIGTERM before it can read them.
    Bridge bridge;
    bridge.start_consumer();
    Listener listener(bridge.leaf().url());
    const Sender udp = Sender::udp(listener);
    const Sender unix_domain = Sender::unix_domain(listener);
    send_sample(udp);
    send_sample(unix_domain);
    unix_domain.send("last:1|c");  // blocks until there is room, so that it reads
    REQUIRE(wait_until(120s, [&] {
        return bridge.leader().number("SELECT count(*) FROM metric_points WHERE name = 'last'") > 0;
    }));

    listener.process().signal(SIGSTOP);
    constexpr int kUnread = 100;  // some 80 KiB of the buffer, with the kernel's headers
    for (int i = 0; i < kUnread; ++i) udp.send("unread:1|c\nunread.ms:2|ms");
    int queued = 0;
    while (queued < 1'000 && unix_domain.try_to_send("queued:1|c", MSG_DONTWAIT)) ++queued;
    CHECK(queued > 0);
    listener.process().signal(SIGTERM);
    listener.process().signal(SIGCONT);
    CHECK(listener.process().wait(60s) == 0);
    CHECK_FALSE(unix_domain.try_to_send("queued:1|c", MSG_DONTWAIT));
    CHECK_FALSE(fs::exists(listener.path()));

    expect_proof(bridge);
    const std::string log = listener.log();
    INFO(log);
    const PostgresServer& leader = bridge.leader();
    check_sample(leader);
    CHECK(one(leader, "sum(sum)::int8", "unread") == std::to_string(kUnread));
    CHECK(one(leader, "sum(count)", "unread.ms") == std::to_string(kUnread));
    CHECK(one(leader, "sum(sum)::int8", "queued") == std::to_string(queued));
    CHECK(summary_of(listener, "type") == 8);
    CHECK(summary_of(listener, "conflict") == 4);
    CHECK(summary_of(listener, "refused") == 36);
    CHECK(summary_of(listener, "lost_datagrams") == 0);
    CHECK(occurrences(log, "line refused: ") == 8);  // once per cause
    CHECK_THAT(log, Contains("line refused: sets are not supported"));
    CHECK_THAT(log, Contains("\"calls\" is a counter"));
    CHECK(occurrences(log, "name changed to \"statsd.2xx_count\"") == 1);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter") == 0);
}

TEST_CASE("in a flood, what the kernel had no room for is counted, and the rest adds up") {
    Bridge bridge;
    bridge.start_consumer();
    Listener listener(bridge.leaf().url());
    const Sender udp = Sender::udp(listener);
    listener.process().signal(SIGSTOP);
    // More than the 8 MiB that the kernel may reserve for a buffer of 4 MiB.
    constexpr int kSent = 20'000;
    const std::string datagram = "flood:1|c\n" + std::string(800, '\n');
    for (int i = 0; i < kSent; ++i) udp.send(datagram);
    listener.process().signal(SIGCONT);
    const auto received = [&] {
        return bridge.leader().number(
            "SELECT coalesce(sum(sum), 0)::int8 FROM metric_points WHERE name IN "
            "('flood', 'homeward.statsd.lost_datagrams')");
    };
    CHECK(wait_until(120s, [&] { return received() == kSent; }));
    CHECK(listener.process().stop(60s) == 0);
    INFO(listener.log());
    expect_proof(bridge);
    CHECK(received() == kSent);
    const std::int64_t lost = summary_of(listener, "lost_datagrams");
    CHECK(lost > 0);
    CHECK(one(bridge.leader(), "sum(sum)::int8", "homeward.statsd.lost_datagrams") ==
          std::to_string(lost));
    CHECK_THAT(listener.log(), Contains("its receive buffer was full"));
}

TEST_CASE(
    "beyond the limit of series, values go into an overflow series and new names are refused") {
    Bridge bridge;
    bridge.start_consumer();
    Listener listener(bridge.leaf().url(), {"--statsd-series-max", "10"});
    const Sender sender = Sender::unix_domain(listener);
    constexpr int kSeries = 5'000;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < kSeries; ++i) {
            sender.send("wide:2|c|@0.8|#id:" + std::to_string(i));  // 2.5 each
        }
    }
    sender.send("late:1|c");
    sender.send("wide:+1|g");
    CHECK(listener.process().stop(60s) == 0);
    INFO(listener.log());
    expect_proof(bridge);
    const PostgresServer& leader = bridge.leader();
    CHECK(one(leader, "count(DISTINCT attributes)", "wide") == "11");
    CHECK(one(leader, "max(folded_series)", "wide") == std::to_string(kSeries - 10));
    // Exact where a series is kept; rounded line by line where it is not.
    CHECK(one(leader, "(sum(sum) FILTER (WHERE folded_series IS NULL))::int8", "wide") == "50");
    CHECK(one(leader, "(sum(sum) FILTER (WHERE folded_series IS NOT NULL))::int8", "wide") ==
          std::to_string(2 * 3 * (kSeries - 10)));
    CHECK(leader.number("SELECT count(*) FROM metric_points WHERE name = 'late'") == 0);
    CHECK(summary_of(listener, "series_max") == 1);
    CHECK(summary_of(listener, "conflict") == 1);
    CHECK_THAT(listener.log(), Contains("a new name beyond --statsd-series-max"));
}

TEST_CASE("with absolute gauges a sign is part of the value, as DogStatsD's clients send it") {
    Bridge bridge;
    bridge.start_consumer();
    Listener listener(bridge.leaf().url(), {"--statsd-gauges", "absolute"});
    Sender::unix_domain(listener).send("heat:4|g\nheat:-5|g");
    CHECK(listener.process().stop(60s) == 0);
    expect_proof(bridge);
    CHECK(one(bridge.leader(), "min(value)", "heat") == "-5");  // 4 may have a row of its own
}

TEST_CASE("a StatsD socket that strangers could reach, or that is taken, is refused") {
    const auto refusal = [](const std::string& address, const std::vector<std::string>& more = {}) {
        std::vector<std::string> words{
            HOMEWARD_EMIT_PROGRAM, "--region", "ams", "--app",    "side", "--server",
            "nats://127.0.0.1:1",  "--wait",   "0",   "--listen", address};
        words.insert(words.end(), more.begin(), more.end());
        const CommandResult result = run_command(words, {}, 30s);
        CHECK(result.exit_code == 2);
        return result.output;
    };
    CHECK_THAT(refusal("statsd+udp:0.0.0.0:8125"), Contains("is no loopback address"));
    CHECK_THAT(refusal("statsd+udp:[::]:8125"), Contains("add --statsd-remote"));
    CHECK_THAT(refusal("statsd+udp:localhost:8125"), Contains("numeric address"));
    CHECK_THAT(refusal("statsd:/run/x.sock"), Contains("statsd+unixgram:PATH"));
    CHECK_THAT(refusal("statsd+unixgram:/tmp/x", {"--statsd-series-max", "0"}),
               Contains("expected a whole number from 1 to 500000"));

    Listener listener("nats://127.0.0.1:1", {"--wait", "0", "--socket-mode", "0620"});
    struct stat status {};
    REQUIRE(::stat(listener.path().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0620);
    CHECK_THAT(refusal("statsd+udp:127.0.0.1:" + std::to_string(listener.port())),
               Contains("cannot be bound"));
    CHECK_THAT(refusal("statsd+unixgram:" + listener.path().string()),
               Contains("another homeward-emit listens there"));
}
