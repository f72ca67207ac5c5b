// Method: the admin endpoint in the hands of a stranger who has time: connections that say one byte
// at a time, floods of whole requests, endless headers, ranges, names of other hosts, wrong tokens.
// Health must go on.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "consumer/service/http_server.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

class Connection {
  public:
    explicit Connection(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{20, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~Connection() { ::close(socket_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// False when the other side will not have it.
    bool say(std::string_view words) {
        while (!words.empty()) {
            const ssize_t sent = ::send(socket_, words.data(), words.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            words.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    std::string hear_all() {
        hear(0);
        return heard_;
    }
    /// What has come until now.
    const std::string& heard() {
        hear(MSG_DONTWAIT);
        return heard_;
    }

  private:
    void hear(int flags) {
        char chunk[65'536];
        for (ssize_t n; (n = ::recv(socket_, chunk, sizeof chunk, flags)) > 0;) {
            heard_.append(chunk, static_cast<std::size_t>(n));
        }
    }

    int socket_;
    std::string heard_;
};

std::string asked(int port, const std::string& path, const std::string& headers) {
    Connection one(port);
    one.say("GET " + path + " HTTP/1.1\r\n" + headers + "\r\n");
    return one.hear_all();
}

/// Each has said `words`.
std::vector<std::unique_ptr<Connection>> connections(int port, int count, std::string_view words) {
    std::vector<std::unique_ptr<Connection>> all;
    for (int i = 0; i < count; ++i) {
        all.push_back(std::make_unique<Connection>(port));
        all.back()->say(words);
    }
    return all;
}

std::int64_t descriptors(const Process& process) {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(process.pid()) + "/fd");
    return std::distance(begin(all), end(all));
}

/// An endpoint whose page is made when open() is called, or at the end.
class SlowEndpoint {
  public:
    ~SlowEndpoint() { open(); }
    void open() {
        if (!std::exchange(is_open_, true)) opening_.set_value();
    }
    int port() const { return port_; }

  private:
    homeward::consumer::HttpAnswer page() const {
        opened_.wait();
        return {200, "made"};
    }

    bool is_open_ = false;
    std::promise<void> opening_;
    std::shared_future<void> opened_{opening_.get_future()};
    int port_ = free_port();
    homeward::consumer::HttpServer server_{
        {"127.0.0.1:" + std::to_string(port_), {}, {}, {}, {}},
        {{"/page", {[this](std::string_view) { return page(); }}},
         {"/livez",
          {[](std::string_view) {
               return homeward::consumer::HttpAnswer{200, "ok"};
           },
           true}}}};
};

constexpr const char* kPageRequest = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::int64_t resident_kib(const Process& process) {
    std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
    for (std::string word; status >> word;) {
        std::int64_t kib = 0;
        if (word == "VmRSS:" && status >> kib) return kib;
    }
    return -1;
}

}  // namespace

TEST_CASE("health answers at once while hundreds of connections speak one byte at a time") {
    Bridge bridge;
    bridge.start_consumer();
    const auto slow = connections(bridge.admin_port(), 300, "G");
    const auto begin = std::chrono::steady_clock::now();
    for (int round = 0; round < 8; ++round) {
        for (auto& one : slow) one->say(round == 0 ? "E" : "T");
        CHECK_THAT(bridge.admin("/livez"), Contains(" 200 "));
        CHECK_THAT(bridge.admin("/readyz"), Contains(" 200 "));
        CHECK_THAT(bridge.admin("/metrics"), Contains("homeward_rows_total"));
        std::this_thread::sleep_for(100ms);
    }
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    // However slowly they speak, each has 5 s.
    CHECK(wait_until(15s, [&] {
        return std::none_of(slow.begin(), slow.end(), [](auto& one) { return one->say("x"); });
    }));
}

TEST_CASE("a flood of whole page requests leaves health fast, memory and descriptors bounded") {
    Bridge bridge;
    bridge.start_consumer();
    bridge.admin("/status.json");
    const std::int64_t descriptors_before = descriptors(bridge.consumer());
    const std::int64_t kib_before = resident_kib(bridge.consumer());
    std::string pipelined;
    for (int i = 0; i < 50; ++i) {
        pipelined += "GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    }
    std::deque<std::unique_ptr<Connection>> held;
    std::int64_t descriptors_most = 0;
    auto longest = std::chrono::steady_clock::duration::zero();
    for (int round = 0; round < 40; ++round) {
        for (auto& one : connections(bridge.admin_port(), 100, pipelined)) {
            held.push_back(std::move(one));
        }
        while (held.size() > 400) held.pop_front();
        const auto begin = std::chrono::steady_clock::now();
        CHECK_THAT(bridge.admin("/livez"), Contains(" 200 "));
        CHECK_THAT(bridge.admin("/readyz"), Contains(" 200 "));
        longest = std::max(longest, std::chrono::steady_clock::now() - begin);
        descriptors_most = std::max(descriptors_most, descriptors(bridge.consumer()));
    }
    CHECK(longest < 2s);
    CHECK(descriptors_most - descriptors_before < 300);
    if (!kIsSanitized) CHECK(resident_kib(bridge.consumer()) - kib_before < 64 << 10);
    held.clear();
    CHECK(wait_until(10s, [&] {
        return bridge.admin("/status.json").find(" 200 ") != std::string::npos &&
               descriptors(bridge.consumer()) <= descriptors_before + 2;
    }));
}

TEST_CASE("32 requests wait for a page, further ones are told to come again") {
    SlowEndpoint endpoint;
    const auto asking = connections(endpoint.port(), 64, kPageRequest);
    const auto count = [&](const char* status) {
        return std::count_if(asking.begin(), asking.end(), [&](auto& one) {
            return one->heard().find(status) != std::string::npos;
        });
    };
    CHECK(wait_until(4s, [&] { return count(" 503 ") == 32; }));
    CHECK(count("Retry-After: 1\r\n") == 32);
    CHECK_THAT(asked(endpoint.port(), "/livez", ""), Contains(" 200 "));
    endpoint.open();
    CHECK(wait_until(4s, [&] { return count(" 200 ") == 32; }));
    CHECK(count(" 503 ") == 32);
}

TEST_CASE("a connection that waits for a page is closed for newer ones, and after its time") {
    SlowEndpoint endpoint;
    const auto begin = std::chrono::steady_clock::now();
    Connection first(endpoint.port());
    first.say(kPageRequest);
    SECTION("256 newer ones") {
        const auto newer = connections(endpoint.port(), 256, "G");
        CHECK(first.hear_all().empty());
        CHECK(std::chrono::steady_clock::now() - begin < 4s);
    }
    SECTION("5 s") {
        CHECK(first.hear_all().empty());
        CHECK(std::chrono::steady_clock::now() - begin < 15s);
    }
}

TEST_CASE("neither headers nor ranges nor bodies make the endpoint large") {
    Bridge bridge;
    bridge.start_consumer();
    bridge.admin("/");
    const std::int64_t before = resident_kib(bridge.consumer());
    const std::string line = "X-Filler: " + std::string(1'000, 'x') + "\r\n";
    std::string lines;
    for (int i = 0; i < 1'000; ++i) lines += line;
    for (int i = 0; i < 312; ++i) {
        Connection one(bridge.admin_port());
        one.say("GET / HTTP/1.1\r\nHost: localhost\r\n");
        one.say(lines);
    }
    if (!kIsSanitized) CHECK(resident_kib(bridge.consumer()) - before < 16 << 10);

    const std::string page = asked(bridge.admin_port(), "/", "Host: localhost\r\n");
    std::string ranges = "Range: bytes=0-";
    while (ranges.size() < 6'000) ranges += ",0-";
    const std::string ranged =
        asked(bridge.admin_port(), "/", "Host: localhost\r\n" + ranges + "\r\n");
    CHECK_THAT(page, Contains(" 200 "));
    CHECK(ranged.size() == page.size());
}

TEST_CASE("a name that is not ours gets nothing but health") {
    Bridge bridge;
    bridge.environment()["HOMEWARD_ADMIN_HOSTS"] = "consumer.internal";
    bridge.start_consumer();
    const int port = bridge.admin_port();
    for (const char* path : {"/", "/status.json", "/metrics"}) {
        INFO(path);
        CHECK_THAT(asked(port, path, "Host: evil.example\r\n"), Contains(" 421 "));
        CHECK_THAT(asked(port, path, ""), Contains(" 421 "));
        for (const char* host : {"localhost", "127.0.0.1:8222", "[::1]:8222", "10.0.0.7",
                                 "consumer.internal:8222", "CONSUMER.internal"}) {
            INFO(host);
            CHECK_THAT(asked(port, path, std::string("Host: ") + host + "\r\n"), Contains(" 200 "));
        }
    }
    CHECK_THAT(asked(port, "/livez", "Host: evil.example\r\n"), Contains(" 200 "));
}

TEST_CASE("with a token all but health needs it, and with a certificate all is TLS") {
    Bridge bridge;
    const std::string made =
        run_command({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                     "-keyout", bridge.dir() / "key.pem", "-out", bridge.dir() / "cert.pem"})
            .output;
    INFO(made);
    bridge.environment()["HOMEWARD_ADMIN_TOKEN"] = "open-sesame";
    bridge.environment()["HOMEWARD_ADMIN_TLS_CERT_FILE"] = bridge.dir() / "cert.pem";
    bridge.environment()["HOMEWARD_ADMIN_TLS_KEY_FILE"] = bridge.dir() / "key.pem";
    ProcessOptions options;
    options.environment = bridge.environment();
    options.log = bridge.dir() / "tls.log";
    Process consumer({HOMEWARD_CONSUMER_PROGRAM, "run"}, options);
    REQUIRE(wait_until(
        20s, [&] { return read_file(options.log).find("consuming") != std::string::npos; }));
    const std::string base = "https://localhost:" + std::to_string(bridge.admin_port());
    const auto curl = [&](const std::string& path, const std::string& token) {
        std::vector<std::string> command{"curl",      "-sk", "--ipv4",       "-o",
                                         "/dev/null", "-w",  "%{http_code}", base + path};
        if (!token.empty()) command.insert(command.end(), {"-H", "Authorization: " + token});
        return run_command(command).output;
    };
    CHECK(curl("/metrics", "") == "401");
    CHECK(curl("/metrics", "Bearer open-sesam") == "401");
    CHECK(curl("/metrics", "Basic open-sesame") == "401");
    CHECK(curl("/metrics", "Bearer open-sesame") == "200");
    CHECK(curl("/livez", "") == "200");
    CHECK(curl("/readyz", "") == "200");
    CHECK_THAT(asked(bridge.admin_port(), "/livez", "Host: localhost\r\n"), !Contains(" 200 "));
}
