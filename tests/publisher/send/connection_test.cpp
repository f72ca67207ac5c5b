// The ways to a NATS server: TLS, an nkey, several addresses; and a peer that has died in silence.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>

#include <homeward/publisher.hpp>

#include "tests/publisher/send/audit_app.hpp"
#include "tests/publisher/send/certificate.hpp"
#include "tests/publisher/send/nats_operator.hpp"
#include "tests/publisher/send/nkey.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/log_text.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bad_server.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward;
using namespace homeward::testing;
using Catch::Matchers::Contains;
using namespace std::chrono_literals;

namespace {

NatsOptions with(const std::string& more) {
    NatsOptions options;
    options.more = more;
    return options;
}

/// There is no stream: that it is missed says that the server has let the publisher in.
void check_gets_in(PublisherOptions options) {
    LogText log;
    options.on_log = log.listener();
    Publisher publisher(options);
    REQUIRE(emits(publisher));
    const bool is_in = wait_until(30s, [&] { return log.has("no stream listens"); });
    INFO(log.text());
    CHECK(is_in);
    CHECK(publisher.stats().connected);
    publisher.close(0ms);
}

/// Told which file to look at; and asked again, for the server may come to know it, as it does
/// once `admit` was called.
void check_stays_out(PublisherOptions options, const std::filesystem::path& file,
                     const std::function<void()>& admit = {}) {
    LogText log;
    options.on_log = log.listener();
    Publisher stranger(options);
    CHECK(emits(stranger));
    CHECK(wait_until(60s, [&] { return log.has(file.string()); }));
    CHECK(log.has("Authorization"));
    CHECK_FALSE(stranger.stats().connected);
    if (admit) {
        admit();
        CHECK(wait_until(60s, [&] { return log.has("no stream listens"); }));
    }
    stranger.close(0ms);
}

}  // namespace

TEST_CASE("once a publisher is gone nothing is under way in on_log any more") {
    NatsServer server;
    std::atomic<bool> is_called{false}, is_gone{false}, is_late{false};
    PublisherOptions options = audit_app_options(server.url());
    options.on_log = [&](std::string_view) {
        is_called = true;
        is_late = wait_until(2s, [&] { return is_gone.load(); });
    };
    {
        Publisher publisher(options);
        REQUIRE(publisher.stats().connected);
        server.kill();
        REQUIRE(wait_until(30s, [&] { return is_called.load(); }));
    }
    is_gone = true;
    sleep_ms(100);  // longer than it looks again; too short, it would only miss what is wrong
    CHECK_FALSE(is_late);
}

TEST_CASE("an on_log that throws disturbs nobody, whichever thread calls it") {
    NatsServer server;
    std::atomic<int> lines{0};
    PublisherOptions options = audit_app_options(server.url());
    options.on_log = [&](std::string_view) {
        ++lines;
        throw std::runtime_error("the log is full");
    };
    Publisher publisher(options);
    REQUIRE(emits(publisher));
    CHECK(wait_until(30s, [&] { return lines > 0; }));  // the frame sender: no stream listens
    const int before = lines;
    server.kill();
    CHECK(wait_until(30s, [&] { return lines > before; }));  // nats.c: the connection is lost
    const int by_then = lines;
    CHECK_FALSE(publisher.close(0ms).done);
    CHECK(lines > by_then);  // this thread: what was left
}

TEST_CASE("over TLS events reach a server whose certificate is trusted, and no other") {
    const TempDir dir;
    make_certificate(dir, "server");
    make_certificate(dir, "stranger");
    NatsServer server(with(tls_lines(dir, "server")));
    const std::string url = "tls://127.0.0.1:" + std::to_string(server.port());
    PublisherOptions options = audit_app_options(url);
    options.tls_ca_file = dir / "server.pem";
    check_gets_in(options);

    LogText other_log;
    options.tls_ca_file = dir / "stranger.pem";
    options.on_log = other_log.listener();
    try {
        Publisher other(options);
        CHECK(emits(other));
        sleep_ms(2000);
        CHECK_FALSE(other.stats().connected);
        other.close(0ms);
    } catch (const SetupError& error) {
        // As good: a certificate that is not trusted can never work.
        CHECK(std::string(error.what()).find("NATS") != std::string::npos);
    }
}

TEST_CASE("an nkey lets in who has its seed, and nobody else") {
    const TempDir dir;
    const Nkey ours = Nkey::make();
    const Nkey strange = Nkey::make();
    std::ofstream(dir / "ours.nk") << ours.seed << "\n" << ours.public_key << "\n";
    std::ofstream(dir / "strange.nk") << strange.seed << "\n" << strange.public_key << "\n";
    NatsServer server(with("authorization { users: [ { nkey: " + ours.public_key + " } ] }"));
    PublisherOptions options = audit_app_options(server.url());
    options.nkey_seed_file = dir / "ours.nk";
    check_gets_in(options);
    options.nkey_seed_file = dir / "strange.nk";
    check_stays_out(options, options.nkey_seed_file, [&] {
        server.reload("authorization { users: [ { nkey: " + strange.public_key + " } ] }");
    });
}

TEST_CASE("a creds file lets in whom the server's operator has signed, and a bad one is named") {
    const TempDir dir;
    const NatsOperator ours;
    const NatsOperator strange;
    std::ofstream(dir / "ours.creds") << ours.make_credentials();
    std::ofstream(dir / "strange.creds") << strange.make_credentials();
    NatsOptions server_options = with(ours.server_lines());
    server_options.jetstream = false;  // which would ask for a system account
    NatsServer server(server_options);
    PublisherOptions options = audit_app_options(server.url());
    options.credentials_file = dir / "ours.creds";
    check_gets_in(options);
    options.credentials_file = dir / "strange.creds";
    check_stays_out(options, options.credentials_file);

    // These can never work.
    const std::string whole = ours.make_credentials();
    const std::string seedless = whole.substr(0, whole.find("-----BEGIN USER NKEY"));
    const std::string tokenless = whole.substr(whole.find("-----BEGIN USER NKEY"));
    for (const std::string& text : {std::string(), std::string("\0\xff", 2), seedless, tokenless}) {
        std::ofstream(dir / "bad.creds", std::ios::trunc) << text;
        options.credentials_file = dir / "bad.creds";
        std::string complaint;
        try {
            Publisher other(options);
        } catch (const SetupError& error) {
            complaint = error.what();
        }
        CHECK_THAT(complaint, Contains((dir / "bad.creds").string()) && Contains("-----BEGIN"));
    }
}

TEST_CASE("a server that answers garbage is no reason not to start, however soon it answers") {
    const BadServer garbage(BadServer::Manner::garbage);
    PublisherOptions options = audit_app_options(garbage.url());
    options.on_log = [](std::string_view) {};
    for (int round = 0; round < 500; ++round) {
        Publisher publisher(options);
        CHECK(emits(publisher));
        publisher.close(0ms);
    }
}

TEST_CASE("of several servers the first that answers is used") {
    NatsServer server;
    make_stream(server, StreamKind::audit);
    PublisherOptions options = audit_app_options("nats://127.0.0.1:" + std::to_string(free_port()));
    options.nats_urls.push_back(server.url());
    Publisher publisher(options);
    REQUIRE(emits(publisher));
    CHECK(publisher.flush(30s).done);
    CHECK(publisher.close(10s).done);
}

TEST_CASE("a peer that has fallen silent is noticed, by the parent and by a forked child") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    // Method: a proxy swallows every byte of the connections that there are, and later lets new
    // ones through; what was swallowed never comes back.
    NatsServer server;
    make_stream(server, StreamKind::audit);
    TcpProxy proxy(server.port());
    LogText log;
    PublisherOptions options =
        audit_app_options("nats://127.0.0.1:" + std::to_string(proxy.port()));
    options.on_log = log.listener();
    auto publisher = std::make_unique<Publisher>(options);
    REQUIRE(emits(*publisher));
    REQUIRE(publisher->flush(30s).done);

    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(120);
        const bool first = emits(*publisher) && publisher->flush(30s).done;
        sleep_ms(3000);  // the proxy swallows by now
        const bool second = emits(*publisher) && publisher->close(80s).done;
        publisher.reset();
        ::_exit(first && second ? 0 : 1);
    }
    REQUIRE(wait_until(30s, [&] { return proxy.links() == 2; }));
    sleep_ms(1500);
    proxy.drop();
    const auto began = std::chrono::steady_clock::now();
    sleep_ms(4000);
    CHECK(emits(*publisher));
    // It says 10 s; twice that, since others use this machine.
    CHECK(wait_until(20s, [&] { return log.has("connection to NATS lost"); }));
    std::printf("noticed after %.1f s\n",
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    sleep_ms(2000);
    proxy.resume();
    CHECK(publisher->close(60s).done);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE("why nothing arrives is said at once, with the address, and not again and again") {
    const TempDir dir;
    make_certificate(dir, "server");
    NatsServer plain;
    const BadServer garbage(BadServer::Manner::garbage);
    const auto at = [](int port) { return "127.0.0.1:" + std::to_string(port); };
    const int closed = free_port();
    struct Trouble {
        std::string url, says;
    };
    for (const Trouble& trouble : std::vector<Trouble>{
             {"nats://" + at(closed), at(closed) + ": Connection refused"},
             {"nats://nowhere.invalid:4222", "nowhere.invalid:4222: cannot resolve"},
             {"tls://" + at(plain.port()), at(plain.port()) + ": the server offers no TLS"},
             {garbage.url(), "it is no NATS server; it says \"HTTP/1.1 418"}}) {
        INFO(trouble.url);
        LogText log;
        PublisherOptions options = audit_app_options(trouble.url);
        options.tls_ca_file = dir / "server.pem";
        options.on_log = log.listener();
        Publisher publisher(options);
        CHECK(emits(publisher));
        CHECK(wait_until(30s, [&] { return log.has(trouble.says); }));
        sleep_ms(1500);
        INFO(log.text());
        CHECK(log.text().find("no connection to NATS") == log.text().rfind("no connection"));
        publisher.close(0ms);
    }
}

TEST_CASE(
    "a connection that is lost and back is said with its address, and so is a missing right") {
    const auto users = [](const std::string& permissions) {
        return "authorization { users: [ { user: a, password: a" + permissions +
               " } ] }\nno_auth_user: a";
    };
    NatsServer server(with(users("")));
    LogText log;
    PublisherOptions options = audit_app_options(server.url());
    options.on_log = log.listener();
    Publisher publisher(options);
    REQUIRE(publisher.stats().connected);
    server.kill();
    CHECK(wait_until(30s, [&] { return log.has("Connection refused"); }));
    server.start();
    CHECK(wait_until(30s, [&] {
        return log.has("connected to NATS at 127.0.0.1:" + std::to_string(server.port()) +
                       " again after ");
    }));
    server.reload(users(", permissions: { publish: nothing, subscribe: \">\" }"));
    CHECK(emits(publisher));
    CHECK(wait_until(30s, [&] { return log.has("homeward.frame.audit.ams.shop"); }));
    INFO(log.text());
    CHECK(log.has("Permissions Violation"));
    publisher.close(0ms);
}

TEST_CASE("an app that gives no on_log is warned on standard error") {
    const TempDir dir;
    const int kept = ::dup(STDERR_FILENO);
    const int file = ::open((dir / "stderr").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ::dup2(file, STDERR_FILENO);
    const int port = free_port();
    bool is_warned = false;
    {
        Publisher publisher(audit_app_options("nats://127.0.0.1:" + std::to_string(port)));
        is_warned = wait_until(30s, [&] {
            return read_file(dir / "stderr")
                       .find(
                           "homeward: warning: no connection to NATS at "
                           "127.0.0.1:" +
                           std::to_string(port)) != std::string::npos;
        });
        publisher.close(0ms);
    }
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
    ::close(file);
    CHECK(is_warned);
}

TEST_CASE("a password and a CA that are rotated are taken over without a restart") {
    const TempDir dir;
    make_certificate(dir, "server");
    make_certificate(dir, "renewed");
    std::filesystem::copy(dir / "server.pem", dir / "ca.pem");
    NatsServer server(with(tls_lines(dir, "server")));
    LogText log;
    PublisherOptions options =
        audit_app_options("tls://127.0.0.1:" + std::to_string(server.port()));
    options.tls_ca_file = dir / "ca.pem";
    options.on_log = log.listener();
    Publisher publisher(options);
    REQUIRE(publisher.stats().connected);
    for (const char* name : {"server.pem", "server.key"}) {
        const std::string renewed = std::string("renewed") + (name + 6);
        std::filesystem::copy(dir / renewed, dir / name,
                              std::filesystem::copy_options::overwrite_existing);
    }
    server.kill();
    server.start();
    const bool is_told = wait_until(10s, [&] { return log.has("SSL handshake error"); });
    INFO(log.text());
    CHECK(is_told);
    CHECK_FALSE(publisher.stats().connected);
    std::filesystem::copy(dir / "server.pem", dir / "ca.pem",
                          std::filesystem::copy_options::overwrite_existing);
    CHECK(wait_until(30s, [&] { return publisher.stats().connected; }));
    INFO(log.text());
    CHECK(log.has("again after"));
    publisher.close(0ms);
}
