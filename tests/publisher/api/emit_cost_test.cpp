// What emit() costs its thread beside time: no allocation, and no system call.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/publisher/api/shop.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/faults/system_calls.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constinit thread_local bool is_counting = false;
constinit thread_local std::uint64_t allocations = 0;

[[maybe_unused]] void count_allocation() {
    if (is_counting) ++allocations;
}

/// In a child of its own, which ends inside `live`: what that exited with; -1 for 255, or a signal.
template <typename Live>
int exit_code_of_child(Live live) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        live();
        ::_exit(255);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

/// How many system calls `call` makes; -1 if that cannot be found out here.
template <typename Prepare, typename Call>
int count_system_calls(Prepare prepare, Call call) {
    return exit_code_of_child([&] {
        auto prepared = prepare();
        if (!forbid_system_calls()) ::_exit(255);
        call(*prepared);
        ::_exit(std::min(forbidden_system_calls(), 100));
    });
}

std::chrono::nanoseconds time_of_emit(Publisher& publisher) {
    const events::Audit event = sample_audit();
    const auto began = std::chrono::steady_clock::now();
    const bool is_accepted = publisher.emit(event) == EmitResult::accepted;
    const auto took = std::chrono::steady_clock::now() - began;
    return is_accepted ? took : std::chrono::nanoseconds::max();
}

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// glibc's own, behind the names that every allocation of this program goes through.
// NOLINTBEGIN(bugprone-reserved-identifier): the names that glibc gave them
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
// NOLINTEND(bugprone-reserved-identifier)
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

/// Until this thread has lanes of its own. In the shared ones, when they are full before the
/// drainer has made others, it makes them itself, with system calls.
void await_own_lanes(Publisher& publisher) {
    const events::Audit audit = sample_audit();
    const events::Metric metric = sample_metric();
    const auto is_shared = [](const detail::ThreadLane& one) { return one.writer->is_shared(); };
    for (int i = 0; i < 6'000; ++i) {
        emit_all(publisher, audit, metric);
        if (std::none_of(detail::thread_lanes.begin(), detail::thread_lanes.end(), is_shared))
            return;
        std::this_thread::sleep_for(5ms);
    }
    throw std::runtime_error("this thread gets no lane");
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
    await_own_lanes(publisher);
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
        await_own_lanes(*publisher);
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

TEST_CASE("a thread makes no system call from its first emit() on, whether it gets a lane or not") {
    if (kIsSanitized) {
        WARN("not tried: a sanitizer makes system calls of its own");
        return;
    }
    constexpr int kFirstEmits = 1'000;  // a lane takes them all
    const bool is_lane_ready = GENERATE(true, false);
    INFO("a lane lies ready: " << is_lane_ready);
    const int calls = exit_code_of_child([&] {
        PublisherOptions options = options_without_server();
        options.lanes_max = is_lane_ready ? 8 : 1;
        Publisher publisher(options);
        for (int i = 0; i < 40; ++i) {  // its type is known, and this thread has a lane
            emit_all(publisher, sample_audit(), sample_metric());
            std::this_thread::sleep_for(5ms);
        }
        std::thread([&] {
            std::free(std::malloc(100));  // the thread's arena
            if (!forbid_system_calls()) ::_exit(255);
            bool is_accepted = true;
            for (int i = 0; i < kFirstEmits; ++i) {
                is_accepted = publisher.emit(sample_audit()) == EmitResult::accepted && is_accepted;
            }
            ::_exit(is_accepted ? std::min(forbidden_system_calls(), 100) : 200);
        }).join();
    });
    CHECK(calls == 0);
}

TEST_CASE("a full shared lane costs emit() no system call where no other lane can be made") {
    // Method: lane_dir has room for the two shared lanes alone. One thread keeps that of its class
    // full, while the drainer empties it, looks after the lanes, and tries to make another.
    if (kIsSanitized) {
        WARN("not tried: a sanitizer makes system calls of its own");
        return;
    }
    const SmallDisk disk(1u << 20);
    if (!disk.is_mounted()) return skip("needs root");
    const TempDir dir;
    const int calls = exit_code_of_child([&] {
        std::atomic<bool> has_failed{false};
        PublisherOptions options = options_without_server();
        options.spool_dir = dir / "spool";
        options.lane_dir = disk.path() / "lanes";
        options.on_log = [&](std::string_view line) {
            if (line.find("no room for another lane") != line.npos) has_failed = true;
        };
        Publisher publisher(options);
        const events::Audit event = sample_audit();
        static_cast<void>(publisher.emit(event));
        if (!wait_until(10s, [&] { return has_failed.load(); })) ::_exit(201);
        if (!forbid_system_calls()) ::_exit(255);
        std::uint64_t full = 0;
        const auto until = std::chrono::steady_clock::now() + 500ms;
        while (std::chrono::steady_clock::now() < until) {
            for (int i = 0; i < 1'000; ++i) full += publisher.emit(event) == EmitResult::full;
        }
        ::_exit(full > 0 ? std::min(forbidden_system_calls(), 100) : 202);
    });
    CHECK(calls == 0);
}

TEST_CASE("the first emit() of a thread, and of a forked child, is no matter of ten budgets") {
    // Method: the fastest of some, since on a busy machine any instruction may take milliseconds.
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    constexpr int kTries = 100;
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.on_log = [](std::string_view) {};
    Publisher publisher(options);
    auto of_thread = std::chrono::nanoseconds::max();
    for (int i = 0; i < kTries && of_thread >= 500us; ++i) {
        std::thread([&] { of_thread = std::min(of_thread, time_of_emit(publisher)); }).join();
        std::this_thread::sleep_for(25ms);
    }
    CHECK(of_thread < 500us);
    int of_child_ms = 255;
    for (int i = 0; i < kTries && of_child_ms > 10; ++i) {
        const int took_ms = exit_code_of_child([&] {
            const auto took = std::chrono::ceil<std::chrono::milliseconds>(time_of_emit(publisher));
            publisher.close(0ms);
            ::_exit(static_cast<int>(std::min<std::int64_t>(took.count(), 254)));
        });
        if (took_ms >= 0) of_child_ms = std::min(of_child_ms, took_ms);
    }
    CHECK(of_child_ms <= 10);
    publisher.close(0ms);
}
