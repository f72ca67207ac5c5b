// Many threads, short-lived ones, and those that are just ending.

#include <pthread.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/publisher/api/shop.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// Of a thread; says it when the thread's things are destroyed.
struct LastWords {
    std::function<void()> say;
    ~LastWords() {
        if (say) say();
    }
};

/// As many as one asks for; under ThreadSanitizer, what it needs for each of them reaches the
/// kernel's limit of mappings.
#if defined(__SANITIZE_THREAD__)
constexpr int kThreads = 2'000;
#else
constexpr int kThreads = 10'000;
#endif

}  // namespace

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

TEST_CASE("the lanes of threads that have ended are used again, and few lie ready") {
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    options.lanes_max = 64;
    Publisher publisher(options);
    const auto emit_once = [&] {
        std::thread([&] { CHECK(publisher.emit(sample_audit()) == EmitResult::accepted); }).join();
    };
    for (int i = 0; i < 250; ++i) emit_once();
    CHECK(wait_until(10s, [&] { return lane_files(options.lane_dir) > 2; }));
    for (int i = 0; i < 250; ++i) {
        emit_once();
        std::this_thread::sleep_for(1ms);  // through ten looks of the sender
    }
    CHECK(lane_files(options.lane_dir) <= 2 + 3);  // shared ones, two that lie ready, one in use
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
    emit_one();
    // From now on a lane lies ready for each.
    CHECK(wait_until(10s, [&] { return lane_files(options.lane_dir) > 3; }));
    std::thread([&] {
        // Older than what the publisher keeps of the thread, and so destroyed after it.
        thread_local LastWords last;
        emit_one();
        last.say = [&] {
            std::thread(emit_one).join();  // in the lane that has just been given back
            emit_one();
        };
    }).join();
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.in_log == 4);
    publisher.close(0ms);
}

TEST_CASE("threads that begin together, each with a burst that one lane takes, are not refused") {
    constexpr int kThreads = 12;
    constexpr int kEvents = 2'000;  // some 400 KB of each thread, and 5 MB of all
    const TempDir dir;
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.spool_dir = dir / "spool";
    options.on_log = [](std::string_view) {};
    Publisher publisher(options);
    std::atomic<int> waiting{0};
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    const std::string resource(120, 'r');
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            ++waiting;
            while (waiting < kThreads) std::this_thread::yield();
            events::Audit event;
            event.actor = "user:42";
            event.action = "order.view";
            event.resource = resource;
            event.outcome = events::Audit::Outcome::allowed;
            for (int n = 0; n < kEvents; ++n) static_cast<void>(publisher.emit(event));
            ++done;  // and alive, so that nobody takes over a lane that is half full
            while (done < kThreads) std::this_thread::yield();
        });
    }
    for (std::thread& thread : threads) thread.join();
    const ClassStats stats = publisher.stats().audit;
    CHECK(stats.accepted + stats.refused == kThreads * kEvents);
    // But for one now and then, while the threads contend for their new lanes.
    CHECK(stats.refused < kThreads * kEvents / 100);
    publisher.close(0ms);
}
