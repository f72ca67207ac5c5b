// The admin endpoint in the hands of a stranger, and secrets in the wrong places: what may reach
// it reads and does no more, can neither fill its memory nor keep the others out, and nothing that
// the consumer shows of itself has a password in it.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>

#include "consumer/base/config.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

/// A connection to the endpoint on which one may say anything, or nothing.
class Visitor {
  public:
    explicit Visitor(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{20, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~Visitor() { ::close(socket_); }
    Visitor(const Visitor&) = delete;
    Visitor& operator=(const Visitor&) = delete;

    /// Until it is sent or the other side will not have it.
    void say(std::string_view words) {
        while (!words.empty()) {
            const ssize_t sent = ::send(socket_, words.data(), words.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            words.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    /// The first line of the answer; empty when the connection was closed instead.
    std::string hear() {
        std::string line;
        for (char c; ::recv(socket_, &c, 1, 0) == 1 && c != '\n';) line += c;
        return line;
    }

  private:
    int socket_;
};

int admin_port(Bridge& bridge) {
    const std::string& listen = bridge.environment().at("HOMEWARD_ADMIN_LISTEN");
    return std::stoi(listen.substr(listen.rfind(':') + 1));
}

std::int64_t resident_kib(const Process& process) {
    std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
    for (std::string word; status >> word;) {
        std::int64_t kib = 0;
        if (word == "VmRSS:" && status >> kib) return kib;
    }
    return -1;
}

bool has_row(Bridge& bridge, std::int64_t rows) {
    return wait_until(
        20s, [&] { return bridge.leader().number("SELECT count(*) FROM audit_events") == rows; });
}

}  // namespace

TEST_CASE("unless told otherwise, the admin endpoint is on loopback") {
    CHECK_THAT(homeward::consumer::Config().admin.listen, StartsWith("127.0.0.1:"));
}

TEST_CASE("the admin endpoint takes neither writes nor other methods nor anything large") {
    Bridge bridge;
    bridge.start_consumer();
    const int port = admin_port(bridge);
    for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"}) {
        for (const char* path : {"/", "/metrics", "/status.json", "/livez", "/readyz"}) {
            Visitor visitor(port);
            visitor.say(std::string(method) + " " + path +
                        " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
            INFO(method << " " << path);
            CHECK_THAT(visitor.hear(), !Contains(" 200 ") && !Contains(" 204 "));
        }
    }
    for (const char* path : {"/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"}) {
        Visitor visitor(port);
        visitor.say("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK_THAT(visitor.hear(), !Contains(" 200 "));
    }

    const std::int64_t before = resident_kib(bridge.consumer());
    Visitor long_header(port);
    long_header.say("GET / HTTP/1.1\r\nX: " + std::string(32 << 20, 'x') + "\r\n\r\n");
    CHECK_THAT(long_header.hear(), !Contains(" 200 "));
    Visitor long_body(port);
    long_body.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" +
                  std::string(32 << 20, 'x'));
    CHECK_THAT(long_body.hear(), !Contains(" 200 "));
    if (kIsSanitized) {
        WARN("memory not looked at: a sanitizer keeps what was freed");
    } else {
        CHECK(resident_kib(bridge.consumer()) - before < 16 << 10);
    }
    CHECK_THAT(bridge.admin("/livez"), Contains(" 200 "));
}

TEST_CASE(
    "many who say nothing, or say it slowly, stop neither the events nor the others for long") {
    Bridge bridge;
    bridge.start_consumer();
    std::vector<std::unique_ptr<Visitor>> visitors;
    for (int i = 0; i < 50; ++i) {
        visitors.push_back(std::make_unique<Visitor>(admin_port(bridge)));
        if (i % 2 == 0) visitors.back()->say("GET /metrics HTT");
    }
    NatsClient(bridge.leaf().port()).publish("homeward.plain.ams.shop", kLine);
    CHECK(has_row(bridge, 1));
    CHECK(
        wait_until(60s, [&] { return bridge.admin("/livez").find(" 200 ") != std::string::npos; }));
}

TEST_CASE("no password is in arguments, log, status page, metrics or errors") {
    Bridge bridge;
    bridge.leader().query("CREATE ROLE app SUPERUSER LOGIN");
    bridge.leader().require_password("app", "leader-secret");
    std::string& leader = bridge.environment().at("HOMEWARD_POSTGRES_URL");
    leader.replace(leader.find("postgres@"), 9, "app:leader-secret@");
    std::string& nats = bridge.environment().at("HOMEWARD_NATS_URLS");
    nats.insert(nats.find("://") + 3, "bridge:nats-secret@");
    bridge.environment()["HOMEWARD_LOG_LEVEL"] = "debug";
    bridge.start_consumer();
    NatsClient(bridge.leaf().port()).publish("homeward.plain.ams.shop", kLine);
    REQUIRE(has_row(bridge, 1));

    std::string shown = read_file("/proc/" + std::to_string(bridge.consumer().pid()) + "/cmdline");
    for (const char* path : {"/", "/status.json", "/metrics", "/readyz"}) {
        shown += bridge.admin(path);
    }
    // While both servers are away, every way of complaining is taken.
    bridge.leader().stop();
    bridge.hub().stop();
    NatsClient(bridge.leaf().port()).publish("homeward.plain.ams.shop", kLine);
    CHECK(wait_until(30s,
                     [&] { return bridge.admin("/readyz").find(" 503 ") != std::string::npos; }));
    shown += bridge.admin("/status.json") + bridge.admin("/readyz");
    for (const char* command : {"check", "proof", "run"}) {
        shown += bridge.consumer_command({command}, 8s).output;
    }
    shown += bridge.consumer_log();
    CHECK_THAT(shown, Contains("homeward_rows_total") && Contains("127.0.0.1"));
    CHECK_THAT(shown, !Contains("leader-secret") && !Contains("nats-secret"));
}
