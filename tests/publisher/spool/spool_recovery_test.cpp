// What processes leave in a spool while another publisher of it lives: found, sent, made small, and
// bounded.
//
// Method: a dead run is one whose object is gone: its lock is free, its files are those of a killed
// process. Where a process must die, a child of the test does.

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include <homeward/publisher.hpp>

#include "publisher/buffer/spool_usage.hpp"
#include "publisher/send/origin.hpp"
#include "tests/publisher/send/streams.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr unsigned kSecondsMax = 120;
constexpr std::string_view kObject =
    R"({"actor":"a","action":"b","resource":"c","outcome":"allowed"})";

/// What a publisher has said, and how many events of dead runs it says it has sent.
struct Said {
    std::mutex mutex;
    std::string text;
    std::uint64_t sent = 0;

    void take(std::string_view line) {
        const std::lock_guard lock(mutex);
        text += std::string(line) + "\n";
        const std::size_t at = line.find(": sent ");
        if (at != std::string_view::npos) sent += std::stoull(std::string(line.substr(at + 7)));
    }
    bool has(const std::string& what) {
        const std::lock_guard lock(mutex);
        return text.find(what) != std::string::npos;
    }
    std::uint64_t events_sent() {
        const std::lock_guard lock(mutex);
        return sent;
    }
};

PublisherOptions options_for(const TempDir& dir, const std::string& url, Said& said) {
    PublisherOptions options;
    options.nats_urls = {url};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = dir / "spool";
    options.lane_dir = dir / "lanes";
    options.on_log = [&said](std::string_view line) { said.take(line); };
    return options;
}

const std::string kNoServer = "nats://127.0.0.1:1";

void append_event(detail::LaneWriter& writer) {
    const std::string_view type = "audit";
    const std::size_t bytes = kRecordHeaderBytes + 2 + type.size() + kObject.size();
    REQUIRE(writer.append(bytes, [&](std::byte* at) {
        at = put_raw(put_raw(at, std::uint32_t{0}), detail::Clock::system_us());
        at = put_raw(at, static_cast<std::uint16_t>(type.size()));
        std::memcpy(at, type.data(), type.size());
        std::memcpy(at + type.size(), kObject.data(), kObject.size());
    }));
}

/// A run of a dead process with a lane of each class; `events` audit events wait in one, and as
/// many are in the log if `logged`.
void leave_run(const TempDir& dir, const std::string& region, int events, bool logged = false) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = region;
    identity.app = "shop";
    identity.lane_dir = dir / "lanes";
    const auto run = Run::create(dir / "spool", identity);
    Origin origin(*run, EventClass::audit, {64u << 10, 64u << 20, 10ms, false});
    auto audit = LaneMapping::create(run->create_lane_file(0), EventClass::audit, 64u << 10);
    auto metric = LaneMapping::create(run->create_lane_file(1), EventClass::metric, 64u << 10);
    origin.add_lane(0, &audit);
    detail::LaneWriter writer(audit.header(), audit.ring(), false);
    for (int i = 0; logged && i < events; ++i) append_event(writer);
    if (logged) REQUIRE(origin.drain(true) == Origin::Cut::cut);
    for (int i = 0; i < events; ++i) append_event(writer);
}

std::size_t count_runs(const std::filesystem::path& spool) {
    std::size_t count = 0;
    for (const auto& path : entries_of(spool)) count += path.filename().string().size() == 32;
    return count;
}

std::size_t open_descriptors() {
    return entries_of("/proc/self/fd").size();
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

void make_older(const std::filesystem::path& path, std::chrono::seconds age) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - age);
}

}  // namespace

TEST_CASE("what a worker that is killed has left is sent within seconds by its living parent") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    Said said;
    Publisher parent(options_for(dir, server.url(), said));
    constexpr int kWorkers = 10;
    for (int i = 0; i < kWorkers; ++i) {
        CHECK(exit_code_of([&] {
                  for (int n = 0; n < 10; ++n) {
                      if (parent.emit_json("audit", EventClass::audit, kObject) !=
                          EmitResult::accepted) {
                          ::_exit(1);
                      }
                  }
                  ::kill(::getpid(), SIGKILL);
              }) == 128 + SIGKILL);
    }
    CHECK(wait_until(10s, [&] { return count_runs(dir / "spool") == 1; }));
    CHECK(said.events_sent() >= kWorkers);  // what they had not sent themselves
    CHECK(parent.close(10s).done);
    CHECK(count_runs(dir / "spool") == 0);
}

TEST_CASE(
    "what an app has accepted before it re-executes itself is sent at once by its next image") {
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    CHECK(exit_code_of([&] {
              Said said;
              Publisher publisher(options_for(dir, kNoServer, said));
              for (int i = 0; i < 20; ++i) {
                  if (publisher.emit_json("audit", EventClass::audit, kObject) !=
                      EmitResult::accepted) {
                      ::_exit(99);
                  }
              }
              ::execl(HOMEWARD_RUN_HOLDER, "run_holder", "send",
                      options_for(dir, "", said).spool_dir.c_str(), server.url().c_str(), nullptr);
              ::_exit(98);
          }) == 0);
    CHECK(count_runs(dir / "spool") == 0);
}

TEST_CASE("relative paths of an app are those of the directory in which it opened its publisher") {
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    Said said;
    CHECK(exit_code_of([&] {
              PublisherOptions options = options_for(dir, kNoServer, said);
              options.spool_dir = "spool";
              options.lane_dir = "lanes";
              if (::chdir(dir.path().c_str()) != 0) ::_exit(97);
              Publisher publisher(options);
              if (::chdir("/") != 0) ::_exit(98);
              for (int i = 0; i < 20; ++i) {
                  if (publisher.emit_json("audit", EventClass::audit, kObject) !=
                      EmitResult::accepted) {
                      ::_exit(99);
                  }
              }
              ::_exit(0);  // what is still in its lanes must be found
          }) == 0);
    Publisher publisher(options_for(dir, server.url(), said));
    CHECK(wait_until(10s, [&] { return said.events_sent() == 20; }));
    INFO(said.text);
    CHECK_FALSE(said.has("are gone"));
    CHECK(publisher.close(10s).done);
    CHECK(exit_code_of([&] {
              std::filesystem::create_directory(dir / "removed");
              if (::chdir((dir / "removed").c_str()) != 0) ::_exit(97);
              std::filesystem::remove(dir / "removed");
              PublisherOptions options = options_for(dir, kNoServer, said);
              options.spool_dir = "spool";
              try {
                  Publisher(options).close(0ms);
              } catch (const SetupError& error) {
                  const std::string_view why = error.what();
                  ::_exit(why.find("working directory") != why.npos ? 0 : 1);
              } catch (const std::exception&) {
                  ::_exit(2);
              }
              ::_exit(3);
          }) == 0);
}

TEST_CASE("250 dead runs are sent by a process that may open few files") {
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    constexpr int kRuns = 250;
    for (int i = 0; i < kRuns; ++i) leave_run(dir, "ams", 2);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit few{128, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    Said said;
    std::size_t most = 0;
    {
        Publisher publisher(options_for(dir, server.url(), said));
        CHECK(publisher.stats().spools_recovering == kRuns);
        CHECK(publisher.emit_json("audit", EventClass::audit, kObject) == EmitResult::accepted);
        CHECK(wait_until(60s, [&] {
            most = std::max(most, open_descriptors());
            return publisher.stats().spools_recovering == 0;
        }));
        CHECK(publisher.close(10s).done);
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    INFO(said.text);
    CHECK(said.events_sent() == 2 * kRuns);
    CHECK(most < 100);
    CHECK(count_runs(dir / "spool") == 0);
    CHECK(entries_of(dir / "lanes").empty());
}

TEST_CASE("without NATS dead runs are made small, and those that are empty are removed") {
    const TempDir dir;
    constexpr int kEmpty = 30;
    constexpr int kFull = 30;
    for (int i = 0; i < kEmpty; ++i) leave_run(dir, "ams", 0);
    for (int i = 0; i < kFull; ++i) leave_run(dir, "ams", 5, true);
    CHECK(disk_bytes_of(dir / "spool") > kFull * kSegmentBytes);
    Said said;
    {
        auto options = options_for(dir, kNoServer, said);
        options.lane_bytes = 64u << 10;  // its own lanes count here, too
        Publisher publisher(options);
        // Four are open, and have a segment for each class that had something in its lanes.
        const std::size_t small = kFull * (64u << 10) + 8 * kSegmentBytes;
        CHECK(wait_until(30s, [&] {
            return count_runs(dir / "spool") == kFull + 1 && disk_bytes_of(dir / "spool") < small;
        }));
        const std::size_t small_lanes = kFull * 2 * (8u << 10) + 12 * (68u << 10);
        CHECK(wait_until(30s, [&] { return disk_bytes_of(dir / "lanes") < small_lanes; }));
        publisher.close(0ms);
    }
    // Nothing is lost with that.
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    Publisher publisher(options_for(dir, server.url(), said));
    CHECK(wait_until(30s, [&] { return publisher.stats().spools_recovering == 0; }));
    INFO(said.text);
    CHECK(said.events_sent() == kFull * 10);
    CHECK_FALSE(said.has("dropped or damaged"));
    CHECK(publisher.close(10s).done);
    CHECK(count_runs(dir / "spool") == 0);
}

TEST_CASE("four runs that nobody takes do not keep a fifth waiting") {
    const NatsServer server;
    make_stream(server, StreamKind::audit);
    const TempDir dir;
    for (int i = 0; i < 5; ++i) leave_run(dir, "nowhere", 2);  // no stream is there
    Said said;
    Publisher publisher(options_for(dir, server.url(), said));
    sleep_ms(300);
    for (int i = 0; i < 3; ++i) leave_run(dir, "ams", 2);
    CHECK(wait_until(60s, [&] { return said.events_sent() == 6; }));
    CHECK(wait_until(5s, [&] { return publisher.stats().spools_recovering == 5; }));
    publisher.close(0ms);
}

TEST_CASE("a directory that a kill has left half made or half removed is removed, others stay") {
    const TempDir dir;
    const auto spool = dir / "spool";
    const auto make = [&](bool with_lock, std::chrono::seconds age) {
        const std::string name = PublisherId::random().hex();
        std::filesystem::create_directories(spool / name / "audit");
        std::filesystem::create_directories(dir / "lanes" / name);
        File::create(dir / "lanes" / name / "lane-0");
        if (with_lock) File::create(spool / name / "lock");
        make_older(spool / name, age);
        return name;
    };
    const auto removed = make(true, 120s);
    const auto removed_without_lock = make(false, 120s);
    const auto fresh = make(true, 5s);
    const auto held = make(true, 120s);
    const auto lock = RunLock::take(spool / held);
    make_older(spool / held, 120s);
    std::filesystem::create_directories(spool / "lanes");
    make_older(spool / "lanes", 120s);
    Said said;
    {
        Publisher publisher(options_for(dir, kNoServer, said));
        CHECK_FALSE(std::filesystem::exists(spool / removed));
        CHECK_FALSE(std::filesystem::exists(dir / "lanes" / removed));
        CHECK_FALSE(std::filesystem::exists(spool / removed_without_lock));
        for (const std::string& name : {fresh, held, std::string("lanes")}) {
            CHECK(std::filesystem::exists(spool / name));
        }
        CHECK(std::filesystem::exists(dir / "lanes" / held / "lane-0"));
    }
    CHECK(said.text.find("damaged") == std::string::npos);
}

TEST_CASE("a spool stays within its bound, whoever has filled it, and says that it is full") {
    const TempDir dir;
    constexpr std::size_t kBound = 64u << 20;
    for (int i = 0; i < 7; ++i) leave_run(dir, "ams", 5, true);
    Said said;
    auto options = options_for(dir, kNoServer, said);
    options.spool_bytes_max = kBound;
    options.frame_bytes = 4u << 10;
    Publisher publisher(options);
    std::size_t most = 0;
    EmitResult result = EmitResult::accepted;
    std::string object(kObject);
    object.pop_back();
    for (int i = 0; result != EmitResult::full && i < 2'000'000; ++i) {
        // Random, or the log would take longer to fill.
        const std::string random = PublisherId::random().hex() + PublisherId::random().hex();
        result = publisher.emit_json("audit", EventClass::audit,
                                     object + R"(,"detail":{"r":")" + random + random + "\"}}");
        if (i % 1000 == 0) most = std::max(most, disk_bytes_of(dir / "spool"));
    }
    CHECK(result == EmitResult::full);
    CHECK(wait_until(5s, [&] { return said.has("spool_bytes_max"); }));
    most = std::max(most, disk_bytes_of(dir / "spool"));
    CHECK(most > kBound / 2);
    // Runs that are being recovered may take a segment each.
    CHECK(most <= kBound + 4 * kSegmentBytes);
    CHECK(publisher.stats().audit.log_bytes < 256u << 20);
    publisher.close(0ms);
}

TEST_CASE("a spool bound below 64 MiB is refused") {
    const TempDir dir;
    Said said;
    auto options = options_for(dir, kNoServer, said);
    options.spool_bytes_max = 32u << 20;
    CHECK_THROWS_WITH(Publisher(options), Catch::Matchers::Contains("spool_bytes_max"));
}

TEST_CASE("looking whether a run is taken never releases what another thread has just taken") {
    const TempDir dir;
    leave_run(dir, "ams", 1);
    const auto directory = entries_of(dir / "spool").at(0);
    std::atomic<bool> is_over{false};
    std::thread looks([&] {
        while (!is_over) RunLock::is_taken(directory);
    });
    int lost = 0;
    for (int i = 0; i < 500; ++i) {
        const auto lock = RunLock::take(directory);
        REQUIRE(lock != nullptr);
        // Asked by another process, now and then, since that costs a fork.
        if (i % 50 != 0) continue;
        lost += exit_code_of([&] { ::_exit(RunLock::is_taken(directory) ? 0 : 1); });
    }
    is_over = true;
    looks.join();
    CHECK(lost == 0);
}
