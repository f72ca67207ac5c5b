// fork() with threads at work and a live connection; judged by journals, on the leader, and by what
// the NATS server says of the protocol.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <homeward/publisher.hpp>

#include <audit.event.hpp>

#include "tests/fault/load.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/system_calls.hpp"
#include "tests/support/sanitizer.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kThreads = 4;
constexpr int kRounds = 100;
constexpr int kEventsOfChild = 40;
/// A child that hangs is killed by this, and the round fails.
constexpr unsigned kChildSecondsMax = 120;

void emit_one(Publisher& publisher, JournalWriter& journal, std::uint64_t number) {
    const std::string actor = "user:" + std::to_string(number);
    const std::string key = journal.begin(hash_of(actor));
    events::Audit event;
    event.actor = actor;
    event.action = "fork";
    event.resource = key;
    event.outcome = events::Audit::Outcome::allowed;
    const EmitResult result = publisher.emit(event);
    journal.end(result == EmitResult::accepted ? Fate::accepted : Fate::refused);
}

void emit_some(Publisher& publisher, const std::filesystem::path& journals, std::uint64_t run,
               std::uint32_t thread) {
    JournalWriter journal(journals, run, thread);
    for (int i = 0; i < kEventsOfChild; ++i) {
        emit_one(publisher, journal, static_cast<std::uint64_t>(i));
    }
}

/// What a child does, to its end; the ways in which real ones differ.
[[noreturn]] void live_as_child(std::unique_ptr<Publisher> publisher,
                                const std::filesystem::path& journals, int round) {
    ::alarm(kChildSecondsMax);
    const auto run = 1000 + static_cast<std::uint64_t>(round);
    switch (round % 5) {
        case 0:  // says nothing, and takes everything apart
            publisher.reset();
            ::_exit(0);
        case 1:  // becomes something else at once
            ::execl("/bin/true", "true", nullptr);
            ::_exit(9);
        case 2: {  // its first events come from several threads at once
            std::thread other([&] { emit_some(*publisher, journals, run, 1); });
            emit_some(*publisher, journals, run, 0);
            other.join();
            break;
        }
        case 3: {  // forks in turn
            emit_some(*publisher, journals, run, 0);
            const pid_t grandchild = ::fork();
            if (grandchild == 0) {
                ::alarm(kChildSecondsMax);
                emit_some(*publisher, journals, run + 1000, 0);
                const bool done = publisher->close(60s).done;
                publisher.reset();
                ::_exit(done ? 0 : 3);
            }
            int status = 0;
            ::waitpid(grandchild, &status, 0);
            if (status != 0) ::_exit(4);
            break;
        }
        default:
            emit_some(*publisher, journals, run, 0);
    }
    const bool done = publisher->close(60s).done;
    publisher.reset();
    ::_exit(done ? 0 : 2);
}

}  // namespace

TEST_CASE("parent and child both go on after fork(), under identities of their own") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    // Method: four threads emit without a pause while the main thread forks a hundred times; two
    // children live at a time.
    Bridge bridge;
    bridge.start_consumer();
    PublisherOptions options;
    options.nats_urls = {bridge.leaf().url()};
    options.region = "ams";
    options.app = "forker";
    options.spool_dir = bridge.dir() / "spool";
    auto publisher = std::make_unique<Publisher>(options);
    const auto journals = bridge.dir() / "journal";

    std::atomic<bool> is_over{false};
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            JournalWriter journal(journals, 1, i);
            for (std::uint64_t n = 0; !is_over; ++n) {
                emit_one(*publisher, journal, n);
                if (n % 8 == 0) std::this_thread::sleep_for(5ms);
            }
        });
    }
    std::set<pid_t> children;
    int failed = 0;
    // The servers are children of this process too: only ours are waited for, one by one.
    const auto reap = [&](std::size_t most) {
        while (children.size() > most) {
            int status = 0;
            ::waitpid(*children.begin(), &status, 0);
            children.erase(children.begin());
            if (status != 0) ++failed;
        }
    };
    for (int round = 0; round < kRounds; ++round) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) live_as_child(std::move(publisher), journals, round);
        children.insert(child);
        reap(2);
    }
    reap(0);
    CHECK(failed == 0);
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(publisher->close(60s).done);

    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    std::vector<FoundRow> rows;
    for (const auto& row : bridge.leader().query("SELECT resource, actor FROM audit_events")) {
        rows.push_back({row[0], hash_of(row[1])});
    }
    const Verdict verdict = judge(journals, rows, {});
    INFO(proof.output << verdict.to_string());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.refused == 0);
    // 20 rounds of one identity, 20 of one in two threads, 20 of a child and a grandchild.
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.origin WHERE app = 'forker'") ==
          1 + 80);
    CHECK(verdict.accepted > std::uint64_t{100} * kEventsOfChild);
    CHECK(bridge.leaf().log().find("[ERR]") == std::string::npos);
    std::string left;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options.spool_dir)) {
        left += entry.path().string() + "\n";
    }
    CHECK(left == "");
}

TEST_CASE("a thousand forks under load cost no sleep each, nor the parent's connection anything") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    // Method: most children exit at once, as those of a web server that runs a program do; each
    // hundredth becomes a publisher of its own.
    NatsServer server;
    make_stream(server, StreamKind::audit);
    std::atomic<bool> is_lost{false};
    PublisherOptions options;
    options.nats_urls = {server.url()};
    options.region = "ams";
    options.app = "forker";
    options.on_log = [&](std::string_view line) {
        if (line.find("connection to NATS lost") != std::string_view::npos) is_lost = true;
    };
    auto publisher = std::make_unique<Publisher>(options);
    const auto emit = [&] {
        return publisher->emit_json(
            "audit", EventClass::audit,
            R"({"actor":"a","action":"b","resource":"r","outcome":"allowed"})");
    };
    std::atomic<bool> is_over{false};
    std::thread thread([&] {
        while (!is_over) {
            emit();
            std::this_thread::sleep_for(200us);
        }
    });
    auto fastest = std::chrono::steady_clock::duration::max();
    int failed = 0;
    for (int round = 0; round < 1'000; ++round) {
        const auto began = std::chrono::steady_clock::now();
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            if (round % 100 != 99) ::_exit(0);
            ::alarm(kChildSecondsMax);
            const bool done = emit() == EmitResult::accepted && publisher->close(60s).done;
            ::_exit(done ? 0 : 1);
        }
        fastest = std::min(fastest, std::chrono::steady_clock::now() - began);
        int status = 0;
        ::waitpid(child, &status, 0);
        if (status != 0) ++failed;
    }
    is_over = true;
    thread.join();
    CHECK(failed == 0);
    CHECK(publisher->close(60s).done);
    CHECK_FALSE(is_lost);
    CHECK(publisher->stats().audit.in_log == 0);
    CHECK(server.log().find("[ERR]") == std::string::npos);
    std::printf("the fastest fork() took %.0f us\n",
                std::chrono::duration<double, std::micro>(fastest).count());
    // A sleep of half a millisecond would be in each of them.
    CHECK(fastest < 450us);
}

namespace {

/// nobody's.
constexpr uid_t kWorkerUid = 65534;

/// What a worker's on_log was told, and by which thread.
struct Told {
    std::mutex mutex;
    std::string lines;
    std::set<std::thread::id> threads;

    void take(std::string_view line) {
        const std::lock_guard lock(mutex);
        lines.append(line).append("\n");
        threads.insert(std::this_thread::get_id());
    }
    bool has(const std::string& part) {
        const std::lock_guard lock(mutex);
        return lines.find(part) != lines.npos;
    }
};

EmitResult emit_something(Publisher& publisher) {
    events::Audit event;
    event.actor = "user:1";
    event.action = "fork";
    event.resource = "order:1";
    event.outcome = events::Audit::Outcome::allowed;
    return publisher.emit(event);
}

/// An exit code: which of these was not so, from 1.
int first_that_is_false(std::initializer_list<bool> claims) {
    int number = 0;
    for (const bool claim : claims) {
        ++number;
        if (!claim) return number;
    }
    return 0;
}

/// As a worker of a server that was started by root. `open_up` makes the spool the worker's, too.
int live_as_worker(Publisher& publisher, Told& told, bool expects_spool, int open_up) {
    ::alarm(kChildSecondsMax);
    if (::setuid(kWorkerUid) != 0) return 90;
    const EmitResult first = emit_something(publisher);
    if (expects_spool) {
        const bool said = wait_until(5s, [&] { return told.has("cannot be written by process"); });
        return first_that_is_false({first == EmitResult::accepted, said,
                                    told.threads.count(std::this_thread::get_id()) == 0});
    }
    constexpr int kEvents = 100'000;
    int unavailable = 0;
    std::atomic<int> system_calls{-1};
    std::thread([&] {
        if (!forbid_system_calls()) return;
        for (int i = 0; i < kEvents; ++i) {
            if (emit_something(publisher) == EmitResult::unavailable) ++unavailable;
        }
        system_calls = forbidden_system_calls();
        sleep_for_ever();
    }).detach();
    static_cast<void>(wait_until(60s, [&] { return system_calls >= 0; }));
    const Stats stats = publisher.stats();
    const bool said = wait_until(5s, [&] { return told.has("Permission denied"); });
    if (::write(open_up, "x", 1) != 1) return 91;
    const bool opened =
        wait_until(30s, [&] { return emit_something(publisher) == EmitResult::accepted; });
    const Stats after = publisher.stats();
    const std::lock_guard lock(told.mutex);
    return first_that_is_false({first == EmitResult::unavailable, unavailable == kEvents,
                                system_calls == 0,
                                stats.audit.refused_by.unavailable == kEvents + 1, said, opened,
                                after.audit.refused_by.unavailable > kEvents,
                                told.threads.count(std::this_thread::get_id()) == 0});
}

/// The worker's exit code.
int run_worker(const std::filesystem::path& spool, bool is_open) {
    std::filesystem::create_directories(spool);
    ::chmod(spool.c_str(), is_open ? 0777 : 0755);
    ::chmod(spool.parent_path().c_str(), 0755);
    Told told;
    PublisherOptions options;
    options.nats_urls = {"nats://127.0.0.1:" + std::to_string(free_port())};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = spool;
    options.on_log = [&](std::string_view line) { told.take(line); };
    Publisher publisher(options);
    told.threads.clear();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t worker = ::fork();
    if (worker == 0) ::_exit(live_as_worker(publisher, told, is_open, ends[1]));
    ::close(ends[1]);  // a worker that ends early must not be waited for
    char open_up = 0;
    if (!is_open && ::read(ends[0], &open_up, 1) == 1) ::chmod(spool.c_str(), 0777);
    int status = 0;
    CHECK(::waitpid(worker, &status, 0) == worker);
    ::close(ends[0]);
    publisher.close(0ms);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a worker that drops its privileges emits, or is told why not and tries again") {
    // Method: root opens a publisher and forks; the child becomes nobody. Its parent's lane_dir is
    // root's alone. The spool may be written by all, or only after a while.
    if (::geteuid() != 0) return skip("needs root");
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    const TempDir dir;
    CHECK(run_worker(dir / "open", true) == 0);
    CHECK(run_worker(dir / "closed", false) == 0);
}
