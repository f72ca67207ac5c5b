// How a forked child learns that it is one, also on a kernel without MADV_WIPEONFORK.
//
// Method: a seccomp filter answers EINVAL to madvise(MADV_WIPEONFORK), as gVisor does, in a child
// of the test.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>

#include <homeward/publisher.hpp>

#include "publisher/platform/fork_detection_page.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr unsigned kSecondsMax = 60;

bool refuse_wipe_on_fork() {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_WIPEONFORK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{std::size(code), code};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int exit_code_of(const std::function<void()>& live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kSecondsMax);
        live();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The exit code tells what was wrong.
void check_page() {
    ForkDetectionPage page(7);
    if (*page.number() != 7) ::_exit(1);
    const auto as_child = [&] {
        if (*page.number() != 0) ::_exit(2);
        if (!page.try_begin() || page.try_begin()) ::_exit(3);
        // A publisher of the child's own, and a child of that.
        const ForkDetectionPage own(8);
        const int code = exit_code_of([&] {
            if (*own.number() != 0) ::_exit(4);
        });
        if (*own.number() != 8) ::_exit(5);
        ::_exit(code);
    };
    if (const int code = exit_code_of(as_child); code != 0) ::_exit(code);
    if (*page.number() != 7 || !page.try_begin()) ::_exit(6);
    { const ForkDetectionPage closed(9); }
    if (const int code = exit_code_of(as_child); code != 0) ::_exit(code);
    ::_exit(0);
}

void check_publisher(const std::filesystem::path& spool) {
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.spool_dir = spool;
    auto publisher = std::make_unique<Publisher>(options);
    const auto emit = [&] {
        return publisher->emit_json(
            "audit", EventClass::audit,
            R"({"actor":"a","action":"b","resource":"c","outcome":"allowed"})");
    };
    if (emit() != EmitResult::accepted) ::_exit(1);
    const int code = exit_code_of([&] {
        if (emit() != EmitResult::accepted) ::_exit(2);
        if (publisher->stats().audit.accepted != 1) ::_exit(3);
        ::_exit(0);
    });
    if (code != 0) ::_exit(code);
    ::_exit(publisher->stats().audit.accepted == 1 ? 0 : 4);
}

std::size_t count_entries(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) {
        count += entry.path().filename().string().size() == 32 ? 1 : 0;
    }
    return count;
}

}  // namespace

TEST_CASE("a forked child finds the page wiped, and its parent finds it as it was") {
    SECTION("by the kernel") {
        CHECK(exit_code_of(check_page) == 0);
    }
    SECTION("where the kernel cannot") {
        CHECK(exit_code_of([] {
                  if (!refuse_wipe_on_fork()) ::_exit(77);
                  if (::madvise(nullptr, 0, MADV_WIPEONFORK) == 0) ::_exit(78);
                  check_page();
              }) == 0);
    }
}

TEST_CASE("a child of a publisher is one of its own where the kernel wipes no page") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    const TempDir dir;
    CHECK(exit_code_of([&] {
              if (!refuse_wipe_on_fork()) ::_exit(77);
              check_publisher(dir / "spool");
          }) == 0);
    CHECK(count_entries(dir / "spool") == 2);
}
