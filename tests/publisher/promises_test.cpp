// What publisher.hpp promises of emit() and stats(), without a leader, and mostly without a server.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include <audit.event.hpp>
#include <metric.event.hpp>

#include "publisher/file.hpp"
#include "schemas/subject.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/nats_client.hpp"
#include "tests/support/nats_server.hpp"
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

events::Audit sample_audit() {
    events::Audit event;
    event.actor = "user:42";
    event.action = "order.view";
    event.resource = "order:1234";
    event.outcome = events::Audit::Outcome::allowed;
    return event;
}

events::Metric sample_metric() {
    events::Metric event;
    event.name = "requests";
    event.value = 1;
    return event;
}

PublisherOptions options_without_server() {
    PublisherOptions options;
    options.nats_urls = {"nats://127.0.0.1:" + std::to_string(free_port())};
    options.region = "ams";
    options.app = "shop";
    return options;
}

/// Of a thread; says it when the thread's things are destroyed.
struct LastWords {
    std::function<void()> say;
    ~LastWords() {
        if (say) say();
    }
};

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

void make_streams(const NatsServer& server) {
    NatsClient client(server.port());
    for (const StreamKind kind : {StreamKind::audit, StreamKind::metric}) {
        const std::string name = stream_name(kind, "ams");
        client.request("$JS.API.STREAM.CREATE." + name,
                       R"({"name":")" + name + R"(","subjects":[")" + stream_subjects(kind, "ams") +
                           R"("],"storage":"file","retention":"limits","num_replicas":1})");
    }
}

bool adds_up(const ClassStats& stats) {
    return stats.accepted == stats.acked + stats.in_lanes + stats.in_log + stats.tombstoned;
}

std::size_t lane_files(const std::filesystem::path& lane_dir) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(lane_dir)) {
        count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
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
    for (int i = 0; i < 100'000; ++i) {
        publisher.emit(audit);
        publisher.emit(metric);
        publisher.emit_json("audit", EventClass::audit, "{\"actor\":\"a\"}");
    }
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
        publisher->emit(sample_audit());
        publisher->emit(sample_metric());
        return publisher;
    };
    const int calls_of_emit = count_system_calls(prepare, [](Publisher& publisher) {
        const events::Audit audit = sample_audit();
        const events::Metric metric = sample_metric();
        for (int i = 0; i < 200'000; ++i) {
            publisher.emit(audit);
            publisher.emit(metric);
            publisher.emit_json("audit", EventClass::audit, "{\"actor\":\"a\"}");
        }
    });
    CHECK(calls_of_emit == 0);
    CHECK(count_system_calls(prepare, [](Publisher&) { ::getppid(); }) == 1);  // the trap traps
}

TEST_CASE("accepted is always what is acknowledged, in lanes, in the log, or a tombstone") {
    // Method: four threads flood both classes while the server stops, dies and comes back; another
    // asks for the numbers all the while. The log is small, so that metrics are dropped.
    NatsServer server;
    make_streams(server);
    const TempDir dir;
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = dir / "spool";
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> audits{0}, metrics{0}, drops{0}, refusals{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            std::string noise(180, ' ');
            for (std::uint64_t n = 0; !is_over; ++n) {
                for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
                events::Audit audit = sample_audit();
                audit.actor = noise;
                events::Metric metric = sample_metric();
                metric.name = noise;
                ++(publisher.emit(audit) == EmitResult::accepted ? audits : refusals);
                for (int k = 0; k < 4; ++k) {
                    ++metrics;
                    if (publisher.emit(metric) == EmitResult::dropped) ++drops;
                }
                if (n % 64 == 0) std::this_thread::sleep_for(1ms);
            }
        });
    }
    std::uint64_t samples = 0, wrong = 0;
    std::thread sampler([&] {
        Stats before;
        for (; !is_over; ++samples) {
            const std::uint64_t least = audits;
            const Stats stats = publisher.stats();
            const bool fits = adds_up(stats.audit) && adds_up(stats.metric) &&
                              stats.audit.accepted >= least &&
                              stats.audit.accepted >= before.audit.accepted &&
                              stats.audit.acked >= before.audit.acked &&
                              stats.metric.acked >= before.metric.acked;
            wrong += fits ? 0 : 1;
            before = stats;
            std::this_thread::sleep_for(200us);
        }
    });
    sleep_ms(500);
    server.freeze();
    sleep_ms(1500);
    server.thaw();
    sleep_ms(500);
    server.kill();
    sleep_ms(500);
    server.start();
    sleep_ms(500);
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    sampler.join();
    CHECK(samples > 50);
    CHECK(wrong == 0);
    CHECK(publisher.close(120s).done);
    const Stats last = publisher.stats();
    CHECK(last.audit.accepted == audits);
    CHECK(last.audit.acked == audits);
    CHECK(last.audit.refused == refusals);
    CHECK(last.metric.accepted == metrics);
    CHECK(last.metric.tombstoned == drops);
    CHECK(last.metric.acked + last.metric.tombstoned == metrics);
    std::printf("%llu audit, %llu metrics of which %llu were dropped, %llu samples\n",
                static_cast<unsigned long long>(audits), static_cast<unsigned long long>(metrics),
                static_cast<unsigned long long>(drops), static_cast<unsigned long long>(samples));
}

TEST_CASE("close() waits for an emit() that another thread is inside, or says that it did not") {
    // Method: an event that is written by hand, slowly, holds its thread inside emit().
    NatsServer server;
    make_streams(server);
    struct SlowWrite {
        const events::Audit event = sample_audit();
        std::atomic<bool> has_begun{false};
        int ms;
    };
    const auto close_during = [&](int write_ms, std::chrono::milliseconds deadline,
                                  std::size_t lanes_max) {
        PublisherOptions options = options_without_server();
        options.nats_urls = {server.url()};
        options.lanes_max = lanes_max;
        Publisher publisher(options);
        if (lanes_max == 1) REQUIRE(publisher.emit(sample_metric()) == EmitResult::accepted);
        SlowWrite slow;
        slow.ms = write_ms;
        EmitResult result = EmitResult::closed;
        std::thread thread([&] {
            result =
                publisher.emit_record(events::Audit::kDescriptor, slow.event.record_bytes(), &slow,
                                      [](std::byte* at, std::int64_t time_us, void* context) {
                                          auto& self = *static_cast<SlowWrite*>(context);
                                          self.has_begun = true;
                                          sleep_ms(self.ms);
                                          self.event.write_record(at, time_us);
                                      });
        });
        CHECK(wait_until(30s, [&] { return slow.has_begun.load(); }));
        const FlushResult closed = publisher.close(deadline);
        thread.join();
        CHECK(result == EmitResult::accepted);
        CHECK(closed.done == (publisher.stats().audit.acked == 1));
        return closed.done;
    };
    CHECK(close_during(500, 30s, 256));
    CHECK(close_during(500, 30s, 1));  // a lane that threads share
    CHECK_FALSE(close_during(2'000, 100ms, 256));
}

TEST_CASE("what a publisher left is sent by the next one in the same process, and by one only") {
    NatsServer server;
    make_streams(server);
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    const auto start = [&options] { return std::make_unique<Publisher>(options); };
    {
        const auto first = start();
        for (int i = 0; i < 100; ++i) REQUIRE(first->emit(sample_audit()) == EmitResult::accepted);
        CHECK_FALSE(first->close(0ms).done);
    }
    auto second = start();
    CHECK(second->stats().spools_recovering == 1);
    auto third = start();
    CHECK(third->stats().spools_recovering == 0);  // that is the second's
    second->close(0ms);
    second.reset();
    third.reset();

    std::mutex mutex;
    std::string log;
    options.nats_urls = {server.url()};
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        log.append(line).append("\n");
    };
    auto last = start();
    CHECK(wait_until(60s, [&] { return last->stats().spools_recovering == 0; }));
    CHECK(last->close(60s).done);
    last.reset();
    INFO(log);
    CHECK(log.find(": sent 100 events") != std::string::npos);
    CHECK(std::filesystem::is_empty(options.spool_dir));
}

TEST_CASE("a flood of metrics refuses no audit event") {
    PublisherOptions options = options_without_server();
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> drops{0};
    std::vector<std::thread> flood;
    for (int i = 0; i < 3; ++i) {
        flood.emplace_back([&] {
            std::string noise(400, ' ');
            events::Metric metric = sample_metric();
            while (!is_over) {
                for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
                metric.name = noise;
                if (publisher.emit(metric) == EmitResult::dropped) ++drops;
            }
        });
    }
    REQUIRE(wait_until(60s, [&] { return drops > 1000; }));
    std::uint64_t refused = 0;
    for (int i = 0; i < 2000; ++i) {
        if (publisher.emit(sample_audit()) != EmitResult::accepted) ++refused;
        std::this_thread::sleep_for(100us);
    }
    is_over = true;
    for (std::thread& thread : flood) thread.join();
    CHECK(refused == 0);
    CHECK(publisher.stats().metric.refused == 0);
    publisher.close(0ms);
}

TEST_CASE("emit_wait() waits for room until its deadline, and emit() does not") {
    PublisherOptions options = options_without_server();
    options.log_bytes_max = 16u << 20;
    Publisher publisher(options);
    std::string noise(200'000, ' ');
    EmitResult result = EmitResult::accepted;
    for (int i = 0; i < 1000 && result != EmitResult::full; ++i) {
        for (char& c : noise) c = static_cast<char>('!' + std::rand() % 90);
        events::Audit event = sample_audit();
        event.resource = noise;
        result = publisher.emit_wait(event, 2s);  // no slow sender takes that long
    }
    REQUIRE(result == EmitResult::full);
    events::Audit event = sample_audit();
    event.resource = noise;
    const auto before = std::chrono::steady_clock::now();
    CHECK(publisher.emit_wait(event, 300ms) == EmitResult::full);
    CHECK(std::chrono::steady_clock::now() - before >= 300ms);
    CHECK(publisher.stats().audit.refused > 0);
    publisher.close(0ms);
}

/// As many as one asks for; under ThreadSanitizer, what it needs for each of them reaches the
/// kernel's limit of mappings.
#if defined(__SANITIZE_THREAD__)
constexpr int kThreads = 2'000;
#else
constexpr int kThreads = 10'000;
#endif

TEST_CASE("ten thousand threads at once share what lanes there are") {
    PublisherOptions options = options_without_server();
    options.lanes_max = 16;
    Publisher publisher(options);
    std::atomic<int> started{0};
    std::mutex gate;  // held until all are there
    std::unique_lock closed_gate(gate);
    std::atomic<std::uint64_t> accepted{0}, refused{0}, others{0};
    struct Context {
        Publisher& publisher;
        std::atomic<int>& started;
        std::mutex& gate;
        std::atomic<std::uint64_t>&accepted, &refused, &others;
    } context{publisher, started, gate, accepted, refused, others};
    const auto run = [](void* self) -> void* {
        auto& c = *static_cast<Context*>(self);
        ++c.started;
        { const std::lock_guard pass(c.gate); }
        for (int i = 0; i < 3; ++i) {
            const EmitResult result = c.publisher.emit(sample_audit());
            ++(result == EmitResult::accepted ? c.accepted
               : result == EmitResult::full   ? c.refused
                                              : c.others);
        }
        return nullptr;
    };
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128u << 10);
    std::vector<pthread_t> threads;
    for (int i = 0; i < kThreads; ++i) {
        pthread_t thread;
        if (pthread_create(&thread, &small, run, &context) != 0) break;
        threads.push_back(thread);
    }
    const int made = static_cast<int>(threads.size());
    if (made < kThreads) std::printf("this machine allows only %d threads\n", made);
    CHECK(made >= 1000);
    CHECK(wait_until(120s, [&] { return started == made; }));
    closed_gate.unlock();
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
    pthread_attr_destroy(&small);
    CHECK(others == 0);
    CHECK(accepted + refused == 3u * static_cast<unsigned>(made));
    CHECK(accepted > 0);
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.accepted == accepted);
    CHECK(publisher.stats().audit.in_log == accepted);
    CHECK(publisher.stats().audit.refused == refused);
    publisher.close(0ms);
}

TEST_CASE("the lanes of threads that have ended are used again") {
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    options.lanes_max = 64;
    Publisher publisher(options);
    for (int i = 0; i < 500; ++i) {
        std::thread([&] { CHECK(publisher.emit(sample_audit()) == EmitResult::accepted); }).join();
    }
    CHECK(lane_files(options.lane_dir) == 1);
    CHECK(publisher.stats().audit.accepted == 500);
    publisher.close(0ms);
}

TEST_CASE("what a thread emits while it ends does not get into the lane of another") {
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    Publisher publisher(options);
    const auto emit_one = [&] { CHECK(publisher.emit(sample_audit()) == EmitResult::accepted); };
    std::thread([&] {
        // Older than what the publisher keeps of the thread, and so destroyed after it.
        thread_local LastWords last;
        emit_one();
        last.say = [&] {
            std::thread(emit_one).join();  // in the lane that has just been given back
            emit_one();
        };
    }).join();
    CHECK(lane_files(options.lane_dir) == 2);
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.in_log == 3);
    publisher.close(0ms);
}

TEST_CASE("what cannot be carried has a code of its own, and what can be made valid is") {
    Publisher publisher(options_without_server());
    events::Audit large = sample_audit();
    const std::string megabyte(1u << 20, 'x');
    large.resource = megabyte;
    CHECK(publisher.emit(large) == EmitResult::too_large);
    CHECK(publisher.emit_json("audit", EventClass::audit, megabyte) == EmitResult::too_large);
    CHECK(publisher.emit_json(std::string(70'000, 't'), EventClass::audit, "{}") ==
          EmitResult::too_large);
    CHECK(publisher.stats().audit.accepted == 0);
    // Escaped, replaced or quoted by the sender; see record_json_test.
    events::Audit strange = sample_audit();
    strange.actor = std::string_view("\xff\xfe\0\n", 4);
    CHECK(publisher.emit(strange) == EmitResult::accepted);
    events::Metric metric = sample_metric();
    metric.value = std::numeric_limits<double>::quiet_NaN();
    CHECK(publisher.emit(metric) == EmitResult::accepted);
    CHECK(publisher.flush(20s, FlushUntil::logged).done);
    publisher.close(0ms);
    CHECK(publisher.emit(strange) == EmitResult::closed);
}

TEST_CASE("lanes in a place of everybody's lie in no directory that others may write to") {
    const TempDir dir;
    CHECK_NOTHROW(make_private_directory(dir / "fresh"));
    CHECK_NOTHROW(make_private_directory(dir / "fresh"));
    std::filesystem::create_directory(dir / "open");
    std::filesystem::permissions(dir / "open", std::filesystem::perms::all);
    CHECK_THROWS_WITH(make_private_directory(dir / "open"), Catch::Matchers::Contains("lane_dir"));
    std::filesystem::create_symlink(dir / "fresh", dir / "link");
    CHECK_THROWS_AS(make_private_directory(dir / "link"), SetupError);
}

TEST_CASE("a disk that takes no more, and that it does again, is said once each") {
    // Method: files may not grow to the size of a segment, which is an error as of a full disk.
    const TempDir dir;
    std::mutex mutex;
    std::string said;
    const auto times = [&](const std::string& part) {
        const std::lock_guard lock(mutex);
        int count = 0;
        for (auto at = said.find(part); at != said.npos; at = said.find(part, at + 1)) ++count;
        return count;
    };
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        said.append(line).append("\n");
    };
    Publisher publisher(options);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit whole{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &whole) == 0);
    const rlimit small{4u << 20, whole.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
    CHECK(wait_until(30s, [&] { return times("File too large") > 0; }));
    CHECK_FALSE(publisher.flush(500ms, FlushUntil::logged).done);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &whole) == 0);
    CHECK(publisher.flush(30s, FlushUntil::logged).done);
    CHECK(wait_until(60s, [&] { return times("are logged again") > 0; }));
    CHECK(times("audit frames cannot be logged") == 1);
    CHECK(times(options.spool_dir.string()) == 1);
    CHECK(times("are logged again") == 1);
    publisher.close(0ms);
}

TEST_CASE("options that can never work are refused with what to change") {
    const auto complaint = [](auto change) {
        PublisherOptions options = options_without_server();
        change(options);
        try {
            Publisher publisher(options);
        } catch (const SetupError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(complaint([](auto& o) { o.region = "Amsterdam"; }).find("region") != std::string::npos);
    CHECK(complaint([](auto& o) { o.nats_urls.clear(); }).find("nats_urls") != std::string::npos);
    CHECK(complaint([](auto& o) { o.lane_bytes = 100'000; }).find("lane_bytes") !=
          std::string::npos);
    CHECK(complaint([](auto& o) { o.tls_ca_file = "/nowhere/ca.pem"; }).find("/nowhere/ca.pem") !=
          std::string::npos);
    CHECK(complaint([](auto& o) { o.spool_dir = "/proc/no/spool"; }).find("/proc/no/spool") !=
          std::string::npos);
}
