// Children of a process that has died: they live on, and its connection to NATS does not.
//
// Method: a process with a connected publisher has a child and is killed. The server is asked what
// connections it has while the child still lives.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <homeward/publisher.hpp>

#include "tests/publisher/send/certificate.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/http_text.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/nats_server.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// What is still there then is killed by this.
constexpr unsigned kSecondsMax = 120;

enum class Child { forked, program };

[[noreturn]] void live_as_child(Child child) {
    ::alarm(kSecondsMax);
    if (child == Child::program) ::execlp("sleep", "sleep", "1000", nullptr);
    for (;;) ::pause();
}

/// Says the child's pid once both live.
[[noreturn]] void live_as_parent(const PublisherOptions& options, Child child, int say) {
    ::alarm(kSecondsMax);
    Publisher publisher(options);
    const pid_t pid = publisher.stats().connected ? ::fork() : -1;
    if (pid == 0) live_as_child(child);
    if (::write(say, &pid, sizeof pid) != sizeof pid) ::_exit(1);
    for (;;) ::pause();
}

/// Of the server that is watched on that port.
bool has_connections(int port, int count) {
    return http_text(port, "/connz").find("\"num_connections\": " + std::to_string(count)) !=
           std::string::npos;
}

void kill_parent_before_child(PublisherOptions options, int watched_on, Child child) {
    options.region = "ams";
    options.app = "shop";
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t parent = ::fork();
    if (parent == 0) live_as_parent(options, child, ends[1]);
    pid_t orphan = -1;
    CHECK(::read(ends[0], &orphan, sizeof orphan) == sizeof orphan);
    REQUIRE(orphan > 0);
    CHECK(has_connections(watched_on, 1));
    ::kill(parent, SIGKILL);
    ::waitpid(parent, nullptr, 0);
    CHECK(wait_until(20s, [&] { return has_connections(watched_on, 0); }));
    CHECK(::kill(orphan, SIGKILL) == 0);
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace

TEST_CASE("the server sees a dead parent's connection end, although its children live on") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    const TempDir dir;
    NatsOptions server_options;
    PublisherOptions options;
    const int watched_on = free_port();
    server_options.more = "http: \"127.0.0.1:" + std::to_string(watched_on) + "\"\n";
    std::string scheme = "nats";
    SECTION("without TLS") {}
    SECTION("over TLS") {
        make_certificate(dir, "server");
        server_options.more += tls_lines(dir, "server");
        options.tls_ca_file = dir / "server.pem";
        scheme = "tls";
    }
    const NatsServer server(server_options);
    options.nats_urls = {scheme + "://127.0.0.1:" + std::to_string(server.port())};
    kill_parent_before_child(options, watched_on, Child::forked);
    kill_parent_before_child(options, watched_on, Child::program);
}
