// What emit() costs its thread beside time: no allocation, and no system call.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <utility>

#include "tests/publisher/api/shop.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constinit thread_local bool is_counting = false;
constinit thread_local std::uint64_t allocations = 0;

[[maybe_unused]] void count_allocation() {
    if (is_counting) ++allocations;
}

std::atomic<int> trapped{0};
void on_trapped(int) {
    trapped.fetch_add(1, std::memory_order_relaxed);
}

/// From now on every system call of this thread is trapped and not made, but for the end.
bool forbid_system_calls() {
    struct sigaction action {};
    action.sa_handler = on_trapped;
    ::sigaction(SIGSYS, &action, nullptr);
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{sizeof filter / sizeof filter[0], filter};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// In a child of its own, which ends inside: how many system calls `call` made; -1 if that cannot
/// be found out here.
template <typename Prepare, typename Call>
int count_system_calls(Prepare prepare, Call call) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        auto prepared = prepare();
        if (!forbid_system_calls()) ::_exit(255);
        call(*prepared);
        ::_exit(std::min(trapped.load(), 100));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// glibc's own, behind the names that every allocation of this program goes through.
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void* malloc(std::size_t bytes) {
    count_allocation();
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
    count_allocation();
    return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
    count_allocation();
    return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
    count_allocation();
    return __libc_memalign(alignment, bytes);
}
}
#endif

namespace {

/// Taken or not: here only its cost counts.
void emit_all(Publisher& publisher, const events::Audit& audit, const events::Metric& metric) {
    static_cast<void>(publisher.emit(audit));
    publisher.emit(metric);
    static_cast<void>(
        publisher.emit_json("audit", EventClass::audit,
                            R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})"));
}

}  // namespace

TEST_CASE("emit() allocates nothing after a thread's first") {
    if (kIsSanitized) {
        WARN("not tried: a sanitizer has its own malloc");
        return;
    }
    Publisher publisher(options_without_server());
    const events::Audit audit = sample_audit();
    const events::Metric metric = sample_metric();
    REQUIRE(publisher.emit(audit) == EmitResult::accepted);
    REQUIRE(publisher.emit(metric) == EmitResult::accepted);
    is_counting = true;
    std::free(std::malloc(1));
    REQUIRE(std::exchange(allocations, 0) == 1);  // the counter counts
    for (int i = 0; i < 100'000; ++i) emit_all(publisher, audit, metric);
    is_counting = false;
    CHECK(allocations == 0);
    publisher.close(0ms);
}

TEST_CASE("emit() makes no system call after a thread's first, with room and without") {
    if (kIsSanitized) {
        WARN("not tried: a sanitizer makes system calls of its own");
        return;
    }
    const auto prepare = [] {
        auto publisher = std::make_unique<Publisher>(options_without_server());
        emit_all(*publisher, sample_audit(), sample_metric());
        return publisher;
    };
    const int calls_of_emit = count_system_calls(prepare, [](Publisher& publisher) {
        const events::Audit audit = sample_audit();
        const events::Metric metric = sample_metric();
        for (int i = 0; i < 200'000; ++i) emit_all(publisher, audit, metric);
    });
    CHECK(calls_of_emit == 0);
    CHECK(count_system_calls(prepare, [](Publisher&) { ::getppid(); }) == 1);  // the trap traps
}
