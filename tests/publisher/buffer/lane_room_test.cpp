// Lanes where there is little room for them, as in a container's /dev/shm.
//
// Method: lane_dir is a tmpfs of its own of so many bytes (needs root), the spool a directory
// elsewhere; NATS is away.

#include <pthread.h>
#include <sys/statvfs.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <homeward/prometheus.hpp>
#include <homeward/publisher.hpp>

#include "publisher/api/refusals.hpp"
#include "publisher/platform/file.hpp"
#include "tests/publisher/api/shop.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int kThreads = 2'000;
#else
constexpr int kThreads = 10'000;
#endif

/// An app on a small /dev/shm, and what it is told.
struct SmallShop {
    explicit SmallShop(std::size_t bytes) : disk(bytes) {
        options = options_without_server();
        options.spool_dir = dir / "spool";
        options.lane_dir = disk.path() / "lanes";
        options.on_log = [this](std::string_view line) {
            const std::lock_guard lock(mutex);
            said.append(line).append("\n");
        };
    }
    int times_said(const std::string& part) {
        const std::lock_guard lock(mutex);
        int count = 0;
        for (auto at = said.find(part); at != said.npos; at = said.find(part, at + 1)) ++count;
        return count;
    }
    std::size_t free_bytes() const {
        struct statvfs status {};
        ::statvfs(disk.path().c_str(), &status);
        return status.f_bavail * status.f_frsize;
    }

    TempDir dir;
    SmallDisk disk;
    PublisherOptions options;
    std::mutex mutex;
    std::string said;
};

/// Of lanes that this process has mapped: it needs no descriptor for each.
int open_lane_files() {
    int count = 0;
    std::error_code error;
    for (const auto& one : std::filesystem::directory_iterator("/proc/self/fd")) {
        const auto target = std::filesystem::read_symlink(one.path(), error);
        count += target.filename().string().find("lane-") == 0 ? 1 : 0;
    }
    return count;
}

/// Threads that live at once, and emit when all are there.
class Crowd {
  public:
    Crowd(Publisher& publisher, int count)
        : publisher_(publisher), closed_gate_(gate_), closed_exit_(exit_) {
        pthread_attr_t small;
        pthread_attr_init(&small);
        pthread_attr_setstacksize(&small, 128u << 10);
        for (int i = 0; i < count; ++i) {
            pthread_t thread;
            if (pthread_create(&thread, &small, &Crowd::run, this) != 0) break;
            threads_.push_back(thread);
        }
        pthread_attr_destroy(&small);
    }
    std::uint64_t size() const { return threads_.size(); }
    /// They keep their lanes until all have emitted and `is_over`.
    void emit(const std::function<bool()>& is_over) {
        CHECK(wait_until(120s, [&] { return started_ == static_cast<int>(threads_.size()); }));
        closed_gate_.unlock();
        CHECK(wait_until(120s, [&] { return emitted_ == static_cast<int>(threads_.size()); }));
        CHECK(wait_until(120s, is_over));
        closed_exit_.unlock();
        for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
    }

    std::atomic<std::uint64_t> accepted{0}, full{0}, others{0};

  private:
    static void* run(void* self) {
        auto& crowd = *static_cast<Crowd*>(self);
        ++crowd.started_;
        { const std::lock_guard pass(crowd.gate_); }
        for (int i = 0; i < 3; ++i) {
            const EmitResult result = crowd.publisher_.emit(sample_audit());
            ++(result == EmitResult::accepted ? crowd.accepted
               : result == EmitResult::full   ? crowd.full
                                              : crowd.others);
        }
        ++crowd.emitted_;
        { const std::lock_guard pass(crowd.exit_); }
        return nullptr;
    }
    Publisher& publisher_;
    std::mutex gate_, exit_;
    std::unique_lock<std::mutex> closed_gate_, closed_exit_;
    std::atomic<int> started_{0}, emitted_{0};
    std::vector<pthread_t> threads_;
};

}  // namespace

TEST_CASE("ten thousand threads emit where lanes have 64 MB, and another process finds room") {
    SmallShop shop(64u << 20);
    if (!shop.disk.is_mounted()) return skip("needs root");
    shop.options.lanes_max = 20'000;
    Publisher publisher(shop.options);
    Crowd crowd(publisher, kThreads);
    CHECK(crowd.size() >= 1000);
    crowd.emit([&] { return shop.times_said("no room for another lane") == 1; });
    CHECK(crowd.others == 0);
    CHECK(crowd.accepted + crowd.full == 3 * crowd.size());
    CHECK(crowd.accepted > 0);
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    const Stats stats = publisher.stats();
    CHECK(stats.audit.accepted == crowd.accepted);
    CHECK(stats.audit.in_log == crowd.accepted);
    CHECK(stats.audit.refused_by.lane_full == crowd.full);
    const std::size_t lanes = lane_files(shop.options.lane_dir);
    std::printf("%zu lanes, %zu KiB left free\n", lanes, shop.free_bytes() >> 10);
    CHECK(lanes > 64);
    CHECK(lanes < 200);
    CHECK(shop.free_bytes() > (1u << 19));
    CHECK(shop.times_said("no room for another lane") == 1);
    PublisherOptions more = shop.options;
    more.spool_dir = shop.dir / "more";
    Publisher other(more);
    CHECK(other.emit(sample_audit()) == EmitResult::accepted);
    other.close(0ms);
    publisher.close(0ms);
}

TEST_CASE("without room for a lane, a thread shares one, leaves no file, and is told so once") {
    SmallShop shop(1u << 20);
    if (!shop.disk.is_mounted()) return skip("needs root");
    Publisher publisher(shop.options);
    const std::size_t files = lane_files(shop.options.lane_dir);
    CHECK(files == 2);  // one shared lane of each class
    for (int i = 0; i < 200; ++i) {
        std::thread([&] {
            for (int j = 0; j < 10; ++j) {
                CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
                CHECK(publisher.emit(sample_metric()) == EmitResult::accepted);
            }
        }).join();
        if (i % 20 == 0) publisher.flush(60s, FlushUntil::logged);
    }
    CHECK(lane_files(shop.options.lane_dir) == files);
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.in_log == 2'000);
    CHECK(publisher.stats().metric.in_log == 2'000);
    CHECK(publisher.stats().audit.refused == 0);
    CHECK(wait_until(5s, [&] { return shop.times_said("no room for another lane") == 1; }));
    std::this_thread::sleep_for(2500ms);  // a second attempt has failed by then
    CHECK(shop.times_said("no room for another lane") == 1);
    publisher.close(0ms);
}

TEST_CASE("threads that share a lane get their own when there is room") {
    SmallShop shop(4u << 20);
    if (!shop.disk.is_mounted()) return skip("needs root");
    const std::string filler = (shop.disk.path() / "filler").string();
    const std::size_t filler_bytes = shop.free_bytes() - (900u << 10);
    REQUIRE(File::create(filler).allocate(filler_bytes) == 0);
    Publisher publisher(shop.options);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> accepted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            while (!is_over) {
                if (publisher.emit(sample_audit()) == EmitResult::accepted) ++accepted;
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    CHECK(wait_until(10s, [&] { return accepted > 100; }));
    CHECK(lane_files(shop.options.lane_dir) == 2);
    std::filesystem::remove(filler);
    CHECK(wait_until(40s, [&] { return lane_files(shop.options.lane_dir) == 6; }));
    const std::uint64_t before = accepted;
    CHECK(wait_until(10s, [&] { return accepted > before + 400; }));
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.in_log == accepted);
    publisher.close(0ms);
}

TEST_CASE("an event larger than a small lane goes by the shared one") {
    SmallShop shop(20u << 20);
    if (!shop.disk.is_mounted()) return skip("needs root");
    Publisher publisher(shop.options);
    const std::string filler = (shop.disk.path() / "filler").string();
    REQUIRE(File::create(filler).allocate(shop.free_bytes() - (1200u << 10)) == 0);
    const std::string large = R"({"action":"a","resource":"r","outcome":"allowed","actor":")" +
                              std::string(200'000, 'x') + "\"}";
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
    CHECK(wait_until(10s, [&] { return lane_files(shop.options.lane_dir) == 3; }));
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);  // in a lane of 64 KiB
    CHECK(publisher.emit_json("audit", EventClass::audit, large) == EmitResult::accepted);
    CHECK(publisher.flush(60s, FlushUntil::logged).done);
    CHECK(publisher.stats().audit.in_log == 3);
    publisher.close(0ms);
}

TEST_CASE("lanes that lie ready take none of the last half of a small /dev/shm") {
    SmallShop shop(64u << 20);
    if (!shop.disk.is_mounted()) return skip("needs root");
    // Others of the container have as much that a spare of each class would still fit.
    const std::string filler = (shop.disk.path() / "filler").string();
    REQUIRE(File::create(filler).allocate(shop.free_bytes() - (33u << 20)) == 0);
    Publisher publisher(shop.options);
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
    CHECK(publisher.emit(sample_metric()) == EmitResult::accepted);
    // This thread's own, made since it was in the shared ones; no more.
    CHECK(wait_until(10s, [&] { return lane_files(shop.options.lane_dir) == 4; }));
    CHECK(publisher.emit(sample_audit()) == EmitResult::accepted);
    CHECK(publisher.emit(sample_metric()) == EmitResult::accepted);
    std::this_thread::sleep_for(300ms);
    CHECK(lane_files(shop.options.lane_dir) == 4);
    // With room there are two of each class, and not one more.
    std::filesystem::remove(filler);
    // A lane's file is there shortly before a thread can take it.
    CHECK(wait_until(10s, [&] {
        static_cast<void>(publisher.emit(sample_audit()));
        static_cast<void>(publisher.emit(sample_metric()));
        return lane_files(shop.options.lane_dir) == 8;
    }));
    std::this_thread::sleep_for(300ms);
    CHECK(lane_files(shop.options.lane_dir) == 8);
    CHECK(open_lane_files() == 0);
    CHECK(shop.times_said("no room for another lane") == 0);
    publisher.close(0ms);
}

TEST_CASE("a publisher without room for its shared lanes cannot be opened, and leaves nothing") {
    SmallShop shop(100u << 10);
    if (!shop.disk.is_mounted()) return skip("needs root");
    std::string why;
    try {
        Publisher publisher(shop.options);
    } catch (const SetupError& error) {
        why = error.what();
    }
    INFO(why);
    CHECK(why.find("no space for a lane") != why.npos);
    CHECK(lane_files(shop.options.lane_dir) == 0);
    CHECK(std::filesystem::is_empty(shop.options.spool_dir));
}

TEST_CASE("every event that is not taken is counted by its reason") {
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    Publisher publisher(options);
    CHECK(publisher.emit_json("audit", EventClass::audit, std::string(300'000, 'x')) ==
          EmitResult::too_large);
    publisher.close(0ms);
    CHECK(publisher.emit(sample_audit()) == EmitResult::closed);
    CHECK(publisher.emit(sample_metric()) == EmitResult::closed);
    const Stats stats = publisher.stats();
    CHECK(stats.audit.refused_by.too_large == 1);
    CHECK(stats.audit.refused_by.closed == 1);
    CHECK(stats.metric.refused_by.closed == 1);
    CHECK(stats.audit.refused == 2);
    const std::string text = prometheus(stats);
    CHECK(
        text.find("homeward_publisher_refusals_total{class=\"audit\",reason=\"too_large\"} 1\n") !=
        text.npos);
}

TEST_CASE("each cause of refusals is said once, with the first of its events, and not for each") {
    const TempDir dir;
    PublisherOptions options = options_without_server();
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    std::mutex mutex;
    std::vector<std::string> lines;
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        lines.emplace_back(line);
    };
    const auto times_said = [&](const std::string& part) {
        const std::lock_guard lock(mutex);
        int count = 0;
        for (const std::string& line : lines) count += line.find(part) != line.npos ? 1 : 0;
        return count;
    };
    Publisher publisher(options);
    const std::string invalid = "audit events are refused: the leader could not read their JSON";
    const std::string incomplete = "metric events are refused: a required field was not set";
    for (int i = 0; i < 30; ++i) {  // through three looks of the sender
        CHECK(publisher.emit_json("audit", EventClass::audit, "{") == EmitResult::invalid);
        CHECK(publisher.emit(events::Metric{}) == EmitResult::incomplete);
        std::this_thread::sleep_for(100ms);
    }
    CHECK(wait_until(5s, [&] { return times_said(invalid) == 1; }));
    CHECK(times_said(incomplete) == 1);
    CHECK(times_said("metric events are refused: the leader") == 0);
    publisher.close(0ms);
    CHECK(times_said(invalid) == 1);
}

TEST_CASE(
    "a cause of refusals that was quiet for a minute is said again, one that goes on is not") {
    Refusals refusals;
    const auto began = std::chrono::steady_clock::time_point(24h);
    const auto news_after = [&](std::chrono::seconds time) {
        Stats stats;
        refusals.add_to(stats.audit, EventClass::audit);
        refusals.add_to(stats.metric, EventClass::metric);
        return refusals.news(stats, began + time);
    };
    using Reason = Refusals::Reason;
    CHECK(news_after(0s).empty());
    refusals.count(EventClass::audit, Reason::too_large);
    CHECK(news_after(1s).find("audit events are refused: they are larger") == 0);
    CHECK(news_after(2s).empty());
    refusals.count(EventClass::audit, Reason::closed);
    const std::string second = news_after(3s);
    CHECK(second.find("the publisher is closed") != second.npos);
    CHECK(second.find("larger") == second.npos);
    for (int i = 4; i < 200; i += 10) {
        refusals.count(EventClass::audit, Reason::too_large);
        CHECK(news_after(std::chrono::seconds(i)).empty());
    }
    CHECK(news_after(250s).empty());
    refusals.count(EventClass::audit, Reason::too_large);
    CHECK_FALSE(news_after(260s).empty());
}
