// Servers that take a connection and go no further with it. nats.c has no bound of its own there.

#include <sys/resource.h>

#include <memory>

#include <homeward/forward/client.hpp>
#include <homeward/publisher.hpp>

#include "tests/publisher/send/audit_app.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_text.hpp"
#include "tests/support/process.hpp"
#include "tests/support/servers/bad_server.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using SteadyClock = std::chrono::steady_clock;

namespace {

struct Stall {
    BadServer::Manner manner;
    std::string scheme, says;
};
const std::vector<Stall>& stalls() {
    static const std::vector<Stall> all = {
        {BadServer::Manner::stops_after_greeting, "nats",
         "stalls in the TLS handshake or the login"},
        {BadServer::Manner::stops_at_tls, "tls", "stalls in the TLS handshake or the login"}};
    return all;
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <typename Call>
double seconds_of(Call call) {
    const auto before = SteadyClock::now();
    call();
    return std::chrono::duration<double>(SteadyClock::now() - before).count();
}

}  // namespace

TEST_CASE("a publisher starts, emits and ends against a server that stalls in the login") {
    for (const Stall& stall : stalls()) {
        INFO(stall.says);
        const BadServer server(stall.manner);
        LogText log;
        PublisherOptions options = audit_app_options(server.url(stall.scheme));
        options.on_log = log.listener();
        std::unique_ptr<Publisher> publisher;
        const double cpu_before = cpu_seconds();
        // It says 4 s; thrice that, since others use this machine.
        CHECK(seconds_of([&] { publisher = std::make_unique<Publisher>(options); }) < 12);
        CHECK(emits(*publisher));
        CHECK(wait_until(12s, [&] { return log.has(stall.says); }));
        INFO(log.text());
        CHECK_THAT(log.text(), Contains(stall.says));
        FlushResult closed;
        CHECK(seconds_of([&] { closed = publisher->close(300ms); }) < 12);
        CHECK(closed.events_left == 1);
        CHECK(seconds_of([&] { publisher.reset(); }) < 12);
        CHECK(cpu_seconds() - cpu_before < 5);
    }
}

TEST_CASE("a client of forwarded calls ends against a server that stalls in the login") {
    for (const Stall& stall : stalls()) {
        INFO(stall.says);
        const BadServer server(stall.manner);
        forward::ClientOptions options;
        options.connection.nats_urls = {server.url(stall.scheme)};
        options.connection.region = "ams";
        options.connection.app = "shop";
        LogText log;
        options.connection.on_log = log.listener();
        auto client = std::make_unique<forward::Client>(options);
        const forward::Reply reply = client->call("order.place", "tea", {.deadline = 500ms});
        CHECK(reply.outcome == forward::Outcome::unavailable);
        CHECK(wait_until(12s, [&] { return log.has(stall.says); }));
        INFO(log.text());
        CHECK_THAT(log.text(), Contains(stall.says));
        CHECK(seconds_of([&] { client.reset(); }) < 12);
    }
}
