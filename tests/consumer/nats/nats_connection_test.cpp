// The consumer's connection to NATS: what a server, or a stranger in its place, may say and do to
// it. A hostile JetStream is a raw client that serves the API of a region's domain.

#include <atomic>
#include <filesystem>
#include <thread>

#include "consumer/nats/nats_connection.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/publisher/send/certificate.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_text.hpp"
#include "tests/support/servers/bad_server.hpp"
#include "tests/support/servers/bridge.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kLine =
    R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed"})";

bool has_rows(Bridge& bridge, std::int64_t count) {
    return wait_until(
        30s, [&] { return bridge.leader().number("SELECT count(*) FROM audit_events") == count; });
}

/// Answers every request to the JetStream API of domain ams with the same bytes.
class HostileJetStream {
  public:
    HostileJetStream(int port, std::string reply)
        : port_(port), client_(port), reply_(std::move(reply)) {
        client_.subscribe("$JS.ams.API.>");
        thread_ = std::thread([this] { serve(); });
    }
    ~HostileJetStream() {
        is_over_ = true;
        NatsClient(port_).request("$JS.ams.API.END", "");
        thread_.join();
    }
    int answers() const { return answers_; }

  private:
    void serve() {
        while (!is_over_) {
            try {
                client_.send_to(client_.next_reply(), reply_);
                ++answers_;
            } catch (const std::runtime_error&) {
                // nobody has asked for 10 s
            }
        }
    }

    int port_;
    NatsClient client_;
    std::string reply_;
    std::atomic<bool> is_over_{false};
    std::atomic<int> answers_{0};
    std::thread thread_;
};

}  // namespace

TEST_CASE("one region's nonsense for replies of JetStream stops neither consumer nor the others") {
    BridgeOptions options;
    options.environment["HOMEWARD_SOURCES"] = "scl@hub,ams@ams";
    Bridge bridge(options);
    bridge.leaf().kill();
    std::int64_t events = 0;
    for (const char* reply :
         {R"({"config":{"description":7},"state":{},"streams":7})", R"({"config":7,"state":[]})",
          R"({"error":{"code":503,"description":7}})", "\x01\xff", ""}) {
        INFO(reply);
        HostileJetStream hostile(bridge.hub().port(), reply);
        bridge.start_consumer();
        NatsClient app(bridge.hub().port());
        app.publish(plain_subject("scl", "web"), kLine);
        CHECK(has_rows(bridge, ++events));
        CHECK(hostile.answers() > 0);
        CHECK(bridge.consumer().is_running());
        CHECK(bridge.stop_consumer() == 0);
    }
}

TEST_CASE("a login that is refused again and again ends no connection for good") {
    // Method: the password changes under the connection, stays changed for longer than two
    // attempts, and changes back. An inbox must work as before.
    const auto login = [](const char* password) {
        return std::string("authorization { user: app, password: ") + password + " }";
    };
    NatsOptions options;
    options.more = login("first");
    NatsServer server(options);
    consumer::Config::Nats config;
    config.urls = {"nats://app:first@127.0.0.1:" + std::to_string(server.port())};
    LogText lines;
    consumer::NatsConnection nats(config, 10s, lines.listener());
    std::atomic<int> arrivals{0};
    const std::string inbox = nats.subscribe("", [&](std::vector<consumer::Arrival>& some) {
        arrivals += static_cast<int>(some.size());
    });
    server.reload(login("second"));
    CHECK(wait_until(30s, [&] { return lines.has("Authorization Violation"); }));
    sleep_ms(3'000);
    CHECK_FALSE(nats.is_connected());
    CHECK(nats.connects() == 1);
    server.reload(login("first"));
    // A server that is reloading may end a connection that it has just accepted.
    CHECK(wait_until(30s, [&] { return nats.is_connected() && nats.connects() >= 2; }));
    INFO("connections: " << nats.connects());
    CHECK(wait_until(10s, [&] {
        nats.publish(inbox + "1", "hello");
        return arrivals > 0;
    }));
    CHECK(lines.has("connected to NATS again after"));
    nats.unsubscribe(inbox);
}

TEST_CASE("a CA that is rotated is taken over, and until then the handshake's error is said") {
    const TempDir dir;
    make_certificate(dir, "server");
    make_certificate(dir, "renewed");
    std::filesystem::copy(dir / "server.pem", dir / "ca.pem");
    NatsOptions options;
    options.more = tls_lines(dir, "server");
    NatsServer server(options);
    consumer::Config::Nats config;
    config.urls = {"tls://127.0.0.1:" + std::to_string(server.port())};
    config.tls_ca_file = dir / "ca.pem";
    LogText lines;
    consumer::NatsConnection nats(config, 10s, lines.listener());
    const auto over = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy(dir / "renewed.pem", dir / "server.pem", over);
    std::filesystem::copy(dir / "renewed.key", dir / "server.key", over);
    server.kill();
    server.start();
    CHECK(wait_until(30s, [&] { return lines.has("SSL handshake error"); }));
    std::filesystem::copy(dir / "renewed.pem", dir / "ca.pem", over);
    CHECK(wait_until(30s, [&] { return nats.is_connected(); }));
}

TEST_CASE("a client certificate that is rotated is taken over without a restart") {
    // Method: server and client get new certificates of new CAs; the client's last, after the
    // server has refused the old one.
    const TempDir dir;
    for (const char* name : {"server", "client", "server2", "client2"}) make_certificate(dir, name);
    const auto over = std::filesystem::copy_options::overwrite_existing;
    const auto replace = [&](const std::string& by, const std::string& name) {
        std::filesystem::copy(dir / by, dir / name, over);
    };
    replace("server.pem", "ca.pem");
    replace("client.pem", "trusted.pem");
    NatsOptions options;
    options.more = tls_lines(dir, "server", "trusted");
    NatsServer server(options);
    consumer::Config::Nats config;
    config.urls = {"tls://127.0.0.1:" + std::to_string(server.port())};
    config.tls_ca_file = dir / "ca.pem";
    config.tls_cert_file = dir / "client.pem";
    config.tls_key_file = dir / "client.key";
    LogText lines;
    consumer::NatsConnection nats(config, 10s, lines.listener());

    server.kill();
    for (const char* suffix : {".pem", ".key"}) {
        replace(std::string("server2") + suffix, std::string("server") + suffix);
    }
    replace("server2.pem", "ca.pem");
    replace("client2.pem", "trusted.pem");
    server.start();
    const bool is_said = wait_until(
        30s, [&] { return lines.has("does it trust the certificate in nats.tls_cert_file"); });
    INFO(lines.text());
    CHECK(is_said);
    CHECK_FALSE(nats.is_connected());
    for (const char* suffix : {".pem", ".key"}) {
        replace(std::string("client2") + suffix, std::string("client") + suffix);
    }
    CHECK(wait_until(30s, [&] { return nats.is_connected() && nats.connects() == 2; }));
}

TEST_CASE("after unsubscribe() no callback runs, not even one that had begun") {
    NatsServer server;
    consumer::Config config;
    config.nats.urls = {server.url()};
    consumer::NatsConnection nats(config.nats, 10s, [](std::string_view) {});
    std::atomic<int> calls{0};
    std::atomic<std::size_t> handed_over{0};
    std::atomic<bool> is_inside{false};
    const std::string inbox = nats.subscribe("", [&](std::vector<consumer::Arrival>& arrivals) {
        is_inside = true;
        sleep_ms(20);
        handed_over += arrivals.size();
        ++calls;
        is_inside = false;
    });
    NatsClient others(server.port());
    // The server may not know yet that somebody listens.
    REQUIRE(wait_until(20s, [&] {
        others.send_to(inbox + "1", "x");
        return calls > 0;
    }));
    const int calls_first = calls;
    REQUIRE(wait_until(20s, [&] {
        others.send_to(inbox + "1", "x");
        return is_inside && calls > calls_first;
    }));
    for (int i = 0; i < 200; ++i) others.send_to(inbox + "1", "x");
    const std::size_t handed_over_first = handed_over;
    nats.unsubscribe(inbox);
    CHECK_FALSE(is_inside);
    CHECK(handed_over - handed_over_first < 200);  // or it was over before it was given up
    const int calls_before = calls;
    for (int i = 0; i < 200; ++i) others.send_to(inbox + "1", "x");
    sleep_ms(200);
    CHECK(calls == calls_before);
}

TEST_CASE("a server that stalls in the login is told, again and again, and then left") {
    for (const auto& [manner, scheme] : {std::pair(BadServer::Manner::stops_after_greeting, "nats"),
                                         std::pair(BadServer::Manner::stops_at_tls, "tls")}) {
        const BadServer server(manner);
        consumer::Config::Nats config;
        config.urls = {server.url(scheme)};
        LogText lines;
        const auto began = std::chrono::steady_clock::now();
        CHECK_THROWS_WITH(consumer::NatsConnection(config, 1s, lines.listener()),
                          Contains("stalls in the TLS handshake or the login; has it stopped"));
        // One attempt of 3.2 s; thrice that, since others use this machine.
        CHECK(std::chrono::steady_clock::now() - began < 10s);
    }
}
