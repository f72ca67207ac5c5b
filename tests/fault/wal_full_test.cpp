// The disk that the leader's log is on fills up: PostgreSQL panics, starts again, panics again.

#include <filesystem>
#include <fstream>

#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/small_disk.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kDiskBytes = 96u << 20;  // six segments

/// Moves the leader's log to a disk of its own, as large installations have it.
void move_wal(PostgresServer& leader, const std::filesystem::path& disk) {
    const std::filesystem::path data = leader.query("SHOW data_directory")[0][0];
    leader.stop();
    REQUIRE(run_command({"cp", "-a", data / "pg_wal", disk}).exit_code == 0);
    std::filesystem::remove_all(data / "pg_wal");
    std::filesystem::create_symlink(disk / "pg_wal", data / "pg_wal");
    leader.start();
}

void fill(const std::filesystem::path& ballast) {
    std::ofstream file(ballast, std::ios::binary);
    const std::string zeros(1u << 16, '\0');
    while (file.write(zeros.data(), static_cast<std::streamsize>(zeros.size())).flush()) {
    }
}

bool answers(const PostgresServer& leader) {
    try {
        leader.query("SELECT 1");
        return true;
    } catch (const std::runtime_error&) {
        return false;
    }
}

std::size_t refusals(const PostgresServer& leader) {
    const std::string log = leader.log();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find("No space left on device", at)) != log.npos; ++at) {
        ++count;
    }
    return count;
}

/// What a service manager does when the server has ended.
void start_again(PostgresServer& leader) {
    leader.kill();
    try {
        leader.start();
    } catch (const std::runtime_error&) {
        // It has ended again.
    }
}

}  // namespace

TEST_CASE("a leader whose log has no room panics; all waits, and lands once when there is room") {
    // Method: pg_wal lies on a small file system, and the slot of a standby that never comes keeps
    // every segment; what is left is filled, and segments are switched until none can be made. The
    // server panics, cannot recover without a segment either, and ends; a service manager starts it
    // in vain, again and again. Events go on all the while.
    const SmallDisk disk(kDiskBytes);
    if (!disk.is_mounted()) {
        WARN("not run: it takes root to mount a file system");
        return;
    }
    BridgeOptions options;
    options.environment = {{"HOMEWARD_PULL_ACK_WAIT_MS", "2000"}};
    Bridge bridge(options);
    PostgresServer& leader = bridge.leader();
    move_wal(leader, disk.path());
    Load load(bridge);
    bridge.start_consumer();
    load.start();
    REQUIRE(wait_until(60s, [&] { return bridge.metric("homeward_rows_total") > 500; }));
    leader.query("SELECT pg_create_physical_replication_slot('never_comes', true)");

    fill(disk.path() / "ballast");
    REQUIRE(std::filesystem::space(disk.path()).available < 1u << 16);
    REQUIRE(wait_until(120s, [&] {
        try {
            leader.query("SELECT pg_switch_wal()");
        } catch (const std::runtime_error&) {
            // It is dead, or not back yet.
        }
        return leader.log().find("PANIC:") != std::string::npos;
    }));
    CHECK(wait_until(60s, [&] { return bridge.metric("homeward_leader_up") == 0; }));
    for (int starts = 0; starts < 3; ++starts) {
        start_again(leader);
        sleep_ms(1'000);
    }
    CHECK(refusals(leader) >= 3);
    CHECK(bridge.consumer().is_running());
    CHECK(bridge.metric("homeward_paused") == 0);
    CHECK(bridge.metric("homeward_dead_letters_total") == 0);

    std::filesystem::remove(disk.path() / "ballast");
    start_again(leader);
    REQUIRE(answers(leader));
    leader.query("SELECT pg_drop_replication_slot('never_comes')");
    CHECK(wait_until(60s, [&] { return bridge.metric("homeward_leader_up") == 1; }));
    CHECK(load.stop() == 0);
    const CommandResult proof =
        bridge.consumer_command({"proof", "--wait", "120", "--final"}, 180s);
    const Verdict verdict = load.verdict();
    INFO(proof.output << verdict.to_string() << bridge.consumer_log());
    CHECK(proof.exit_code == 0);
    CHECK(verdict.is_clean());
    CHECK(verdict.accepted > 1000);
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter") == 0);
    CHECK(bridge.consumer_log().find("writing pauses") == std::string::npos);
    CHECK(bridge.stop_consumer() == 0);
}
