// An app whose standard input, output and error are closed, or whose standard error nobody reads.
//
// Method: a child of the test lives as that app, and its exit code tells what was wrong.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include <homeward/publisher.hpp>

#include "tests/publisher/send/audit_app.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// Longer than the test waits for anything; who hangs is killed by it.
constexpr unsigned kSecondsMax = 60;

int exit_code_of(const std::function<int()>& live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        ::_exit(live());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void close_standard() {
    for (const int descriptor : {0, 1, 2}) ::close(descriptor);
}

std::string at_descriptor(int descriptor) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
}

/// From the descriptor that is something else, 10 and more.
int first_that_is_ours() {
    for (const int descriptor : {0, 1, 2}) {
        const std::string what = at_descriptor(descriptor);
        if (!what.empty() && what != "/dev/null") return 10 + descriptor;
    }
    return 0;
}

int live_without_standard(PublisherOptions options) {
    close_standard();
    options.on_log = [](std::string_view line) {
        static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
    };
    Publisher publisher(options);
    if (!emits(publisher) || !publisher.flush(30s).done) return 1;
    if (const int wrong = first_that_is_ours()) return wrong;
    // As a program does that puts itself into the background.
    close_standard();
    bool is_accepted = false;
    std::thread([&] { is_accepted = emits(publisher); }).join();
    if (!is_accepted || !publisher.flush(30s).done) return 2;
    if (const int wrong = first_that_is_ours()) return 10 + wrong;
    return publisher.close(30s).done ? 0 : 3;
}

/// A pipe to write to: full, or without anybody at its other end.
int pipe_nobody_reads(bool is_full) {
    int ends[2];
    if (::pipe(ends) != 0) return -1;
    if (!is_full) {
        ::close(ends[0]);
        return ends[1];
    }
    const std::string page(4096, '.');
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (::write(ends[1], page.data(), page.size()) > 0) continue;
    ::fcntl(ends[1], F_SETFL, 0);
    return ends[1];
}

int live_without_readers(bool is_full) {
    if (::dup2(pipe_nobody_reads(is_full), STDERR_FILENO) < 0) return 90;
    Publisher publisher(audit_app_options("nats://127.0.0.1:1"));
    ::signal(SIGPIPE, SIG_DFL);  // nats.c ignores it
    for (int i = 0; i < 3; ++i) {
        if (!emits(publisher)) return 1;
        std::this_thread::sleep_for(200ms);
    }
    if (!publisher.flush(10s, FlushUntil::logged).done) return 2;
    const auto begun = std::chrono::steady_clock::now();
    publisher.close(100ms);
    return std::chrono::steady_clock::now() - begun < 10s ? 0 : 3;
}

}  // namespace

TEST_CASE("closed standard descriptors become neither files nor connections of a publisher") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    PublisherOptions options = audit_app_options(server.url());
    SECTION("in memory") {}
    SECTION("with a spool") {
        options.spool_dir = dir / "spool";
        options.lane_dir = dir / "lanes";
    }
    CHECK(exit_code_of([&] { return live_without_standard(options); }) == 0);
}

TEST_CASE("a standard error that nobody reads holds no publisher up, and ends no app") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    for (const bool is_full : {true, false}) {
        INFO("the pipe is full: " << is_full);
        CHECK(exit_code_of([&] { return live_without_readers(is_full); }) == 0);
    }
}
