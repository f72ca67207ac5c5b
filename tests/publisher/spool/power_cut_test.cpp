// Durability::disk through power cuts: what flush(logged) has confirmed is sent by the next start.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include <homeward/publisher.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/faults/power_cut_disk.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// ctest takes it for "skipped"; see the CMakeLists.txt beside this.
constexpr int kSkipped = 77;
constexpr int kCuts = 8;

/// Lanes too are on the disk whose power is cut, since memory does not survive that either.
PublisherOptions options_for(Bridge& bridge, const PowerCutDisk& disk) {
    PublisherOptions options;
    options.nats_urls = {bridge.leaf().url()};
    options.region = "ams";
    options.app = "shop";
    options.spool_dir = disk.path() / "spool";
    options.lane_dir = disk.path() / "lanes";
    options.durability = Durability::disk;
    return options;
}

/// Emits numbers, and writes up to which of them flush() has confirmed into `journal`, which is on
/// another disk. Until it is killed.
[[noreturn]] void emit_for_ever(const PublisherOptions& options, int cut,
                                const std::filesystem::path& journal) {
    Publisher publisher(options);
    for (int n = 0;;) {
        const std::string event =
            R"({"actor":"a","action":"test","outcome":"allowed","resource":")" +
            std::to_string(1'000'000 * cut + n) + "\"}";
        if (publisher.emit_json("audit", EventClass::audit, event) != EmitResult::accepted) {
            std::this_thread::sleep_for(1ms);  // the disk is gone, and the lane is full
            continue;
        }
        if (n % 20 == 0 && publisher.flush(10s, FlushUntil::logged).done) {
            std::ofstream(journal, std::ios::trunc) << n << std::endl;
        }
        ++n;
    }
}

/// The app in a process of its own.
pid_t start_app(const PublisherOptions& options, int cut, const std::filesystem::path& journal) {
    const pid_t app = ::fork();
    if (app == 0) {
        ::alarm(300);
        emit_for_ever(options, cut, journal);
    }
    return app;
}

int confirmed_in(const std::filesystem::path& journal) {
    int confirmed = -1;
    std::ifstream(journal) >> confirmed;
    return confirmed;
}

std::string why_not() {
    return PowerCutDisk().reason();
}

}  // namespace

TEST_CASE("after a power cut the next start sends all that flush(logged) had confirmed") {
    if (const std::string reason = why_not(); !reason.empty()) {
        std::printf("skipped: there is no disk whose power can be cut: %s\n", reason.c_str());
        std::fflush(stdout);
        std::exit(kSkipped);
    }
    Bridge bridge;
    bridge.start_consumer();
    PowerCutDisk disk;
    std::mt19937 random(std::random_device{}());
    std::int64_t confirmed_sum = 0;
    for (int cut = 1; cut <= kCuts; ++cut) {
        CAPTURE(cut);
        const auto journal = bridge.dir() / ("confirmed-" + std::to_string(cut));
        const pid_t app = start_app(options_for(bridge, disk), cut, journal);
        CHECK(wait_until(60s, [&] { return confirmed_in(journal) > 100; }));
        sleep_ms(std::uniform_int_distribution<int>(0, 500)(random));
        disk.cut_power();
        sleep_ms(200);  // it goes on: nothing may be confirmed that the disk refuses
        ::kill(app, SIGKILL);
        ::waitpid(app, nullptr, 0);
        const int confirmed = confirmed_in(journal);
        confirmed_sum += confirmed + 1;
        disk.restore_power();

        Publisher next(options_for(bridge, disk));
        CHECK(wait_until(60s, [&] { return next.stats().spools_recovering == 0; }));
        CHECK(next.close(30s).done);
        const std::string range = " BETWEEN " + std::to_string(1'000'000 * cut) + " AND " +
                                  std::to_string(1'000'000 * cut + confirmed);
        CHECK(wait_until(60s, [&] {
            return bridge.leader().number(
                       "SELECT count(DISTINCT resource) FROM audit_events"
                       " WHERE resource::int" +
                       range) == confirmed + 1;
        }));
    }
    std::printf("%d power cuts, %lld events confirmed\n", kCuts,
                static_cast<long long>(confirmed_sum));
    CHECK(bridge.stop_consumer() == 0);
}
