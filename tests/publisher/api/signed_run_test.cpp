// Runs that another process finishes, in both frame versions: after a restart of the machine, and
// on a disk that was full. Judged on the leader.
//
// Method: a child logs some events, has more in its lanes, and is killed. Its run.json then names
// another boot, and where the lanes were in memory they are removed, as a restart does both.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <random>

#include <homeward/publisher.hpp>

#include "publisher/spool/run.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr int kLogged = 100;
constexpr int kInLanes = 50;
constexpr const char* kSigned = "48574b31";  // "HWK1", which self-certifying ids begin with

std::string object_of(const std::string& resource) {
    return R"({"actor":"a","action":"b","outcome":"allowed","resource":")" + resource + "\"}";
}

struct App {
    App(std::uint8_t version, const std::filesystem::path& spool) {
        options.region = "ams";
        options.app = "shop";
        options.nats_urls = {"nats://127.0.0.1:1"};
        options.spool_dir = spool;
        options.frame_version = version;
        options.on_log = [](std::string_view) {};
    }
    PublisherOptions options;
};

bool emit_some(Publisher& publisher, const std::string& name, int count) {
    for (int i = 0; i < count; ++i) {
        const std::string object = object_of(name + std::to_string(i));
        if (publisher.emit_json("audit", EventClass::audit, object) != EmitResult::accepted) {
            return false;
        }
    }
    return true;
}

/// Returns what waitpid() says of it.
int live_and_die(PublisherOptions options, const std::string& name) {
    options.linger = 10s;  // what is not flushed stays in its lane
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        Publisher publisher(options);
        if (!emit_some(publisher, name + "-logged-", kLogged)) ::_exit(1);
        if (!publisher.flush(10s, FlushUntil::logged).done) ::_exit(2);
        if (!emit_some(publisher, name + "-lane-", kInLanes)) ::_exit(3);
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

void restart_machine(const std::filesystem::path& spool) {
    for (const auto& entry : std::filesystem::directory_iterator(spool)) {
        const auto file = entry.path() / "run.json";
        if (!std::filesystem::exists(file)) continue;
        RunIdentity identity;
        REQUIRE(RunIdentity::parse(read_file(file), identity) == RunIdentity::Parsed::whole);
        identity.boot_id = "00000000-0000-4000-8000-000000000000";
        std::ofstream(file, std::ios::binary | std::ios::trunc) << identity.to_json();
    }
}

std::int64_t rows_of(Bridge& bridge, const std::string& name) {
    return bridge.leader().number("SELECT count(*) FROM audit_events WHERE resource LIKE '" + name +
                                  "-%'");
}

/// Sends what is left in the spool, until there is nothing of it. Returns what on_log was told.
std::string send_rest(Bridge& bridge, const PublisherOptions& left) {
    PublisherOptions options = left;
    options.nats_urls = {bridge.leaf().url()};
    options.lane_dir = left.spool_dir / "lanes-of-the-next";
    std::mutex mutex;
    std::string said;
    options.on_log = [&](std::string_view line) {
        const std::lock_guard lock(mutex);
        said.append(line).append("\n");
    };
    Publisher publisher(options);
    CHECK(wait_until(30s, [&] { return publisher.stats().spools_recovering == 0; }));
    CHECK(publisher.close(10s).done);
    const std::lock_guard lock(mutex);
    return said;
}

struct Restart {
    std::string name;
    std::uint8_t version;
    bool lanes_stay;
};

void check_restart(Bridge& bridge, const Restart& restart) {
    INFO(restart.name);
    const auto spool = bridge.dir() / restart.name;
    App app(restart.version, spool);
    app.options.app = restart.name;
    app.options.lane_dir = bridge.dir() / (restart.name + "-lanes");
    const int status = live_and_die(app.options, restart.name);
    REQUIRE(WIFSIGNALED(status));
    restart_machine(spool);
    if (!restart.lanes_stay) std::filesystem::remove_all(app.options.lane_dir);
    INFO(send_rest(bridge, app.options));

    const int rows = kLogged + (restart.lanes_stay ? kInLanes : 0);
    CHECK(wait_until(20s, [&] { return rows_of(bridge, restart.name) == rows; }));
    CHECK(rows_of(bridge, restart.name) == rows);
    const std::string of_app = " FROM homeward.proof WHERE app = '" + restart.name + "'";
    const auto number = [&](const std::string& what, const std::string& which) {
        return bridge.leader().number("SELECT " + what + of_app + which);
    };
    // The dead run's frames may have left before it died, and so may what was in its lanes.
    CHECK(wait_until(10s, [&] {
        return number("count(*)", " AND has_possible_duplicates") == (restart.lanes_stay ? 2 : 1);
    }));
    CHECK(number("sum(duplicated)", "") == 0);
    CHECK(number("sum(dead_lettered)", "") == 0);
    CHECK(number("sum(tombstoned)", "") == 0);
    // What lanes held goes out under an origin of its own; what went with them is said to lack.
    CHECK(number("count(*)", " AND committed = " + std::to_string(kLogged)) == 1);
    CHECK(number("count(*)", " AND committed = " + std::to_string(kInLanes)) ==
          (restart.lanes_stay ? 1 : 0));
    if (!restart.lanes_stay) {
        CHECK(number("sum(accepted - committed)", "") >= kInLanes);
        CHECK(number("sum(in_flight + missing)", "") >= kInLanes);
        CHECK(number("count(*)", " AND state = 'complete'") == 0);
    }
    // A signed run's successor signs, too: with a key of its own.
    const bool is_signed = restart.version == 2;
    const std::string signed_ids =
        " AND committed > 0 AND publisher::text LIKE '%" + std::string(kSigned) + "%'";
    CHECK(number("count(*)", signed_ids) ==
          (is_signed ? number("count(*)", " AND committed > 0") : 0));
}

}  // namespace

TEST_CASE("after a restart of the machine the rest goes out once, by an origin of its own") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    Bridge bridge;
    bridge.start_consumer();
    check_restart(bridge, {"plain", 1, true});
    check_restart(bridge, {"signed", 2, true});
    check_restart(bridge, {"plain_lost", 1, false});
    check_restart(bridge, {"signed_lost", 2, false});
    CHECK(bridge.stop_consumer() == 0);
}

TEST_CASE("a signed run on a small disk refuses when it is full, and loses nothing it has taken") {
    const SmallDisk disk(20u << 20);
    if (!disk.is_mounted()) return skip("needs root");
    Bridge bridge;
    bridge.start_consumer();
    App app(2, disk.path() / "spool");
    app.options.lane_dir = bridge.dir() / "lanes";
    int accepted = 0;
    std::mt19937 random(1);
    {
        Publisher publisher(app.options);
        EmitResult result = EmitResult::accepted;
        for (int i = 0; i < 500'000; ++i) {
            // Random, or the log would take longer to fill.
            std::string noise(8'000, ' ');
            for (char& c : noise) c = static_cast<char>('#' + random() % 50);  // needs no escape
            std::string object = object_of("full-" + std::to_string(i));
            object.pop_back();
            object += R"(,"detail":{"noise":")" + noise + "\"}}";
            const auto emit = [&] {
                return publisher.emit_json("audit", EventClass::audit, object);
            };
            result = detail::retry_while_full(1s, emit);
            if (result != EmitResult::accepted) break;
            ++accepted;
        }
        CHECK(result == EmitResult::full);
        CHECK(publisher.stats().audit.accepted == static_cast<std::uint64_t>(accepted));
        publisher.close(0ms);
    }
    CHECK(accepted > 1'000);
    send_rest(bridge, app.options);
    CHECK(wait_until(60s, [&] { return rows_of(bridge, "full") == accepted; }));
    CHECK(rows_of(bridge, "full") == accepted);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.dead_letter") == 0);
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.proof WHERE state = 'complete'"
                                 " AND publisher::text LIKE '%" +
                                 std::string(kSigned) + "%'") >= 1);
    CHECK(bridge.stop_consumer() == 0);
}
