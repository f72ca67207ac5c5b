// kill -9 of processes that count, judged by the leader. Method: a process tells after each call
// what it has counted, in memory that it shares with the test. It is killed at a random moment,
// often before its first report. Later processes send what it left, and are killed, too. At the end
// each sum on the leader is what was told, or has besides the one call that was under way.

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include <homeward/metrics.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

PublisherOptions options_of(Bridge& bridge) {
    PublisherOptions options;
    options.region = "ams";
    options.app = "shop";
    options.nats_urls = {bridge.leaf().url()};
    options.spool_dir = bridge.dir() / "spool";
    options.on_log = [](std::string_view) {};
    return options;
}

/// What a killed process has told about itself, in memory that it shares with the test.
struct Totals {
    std::atomic<std::int64_t> adds{0};  ///< that have returned
    std::atomic<std::int64_t> records{0};
    std::atomic<std::int64_t> record_sum{0};  ///< of values that have returned
    std::atomic<std::int64_t> in_flight{0};   ///< the value that is being recorded
    std::atomic<std::int64_t> level{0};
};

/// Until it is killed. Values spread over ten powers of two, so that the histogram is rescaled.
[[noreturn]] void count_for_ever(const PublisherOptions& options, int round, Totals& totals,
                                 std::uint32_t seed) {
    ::alarm(300);
    Publisher publisher(options);
    Meter meter(publisher, {.interval = 10ms});
    const std::string name = std::to_string(round);
    Counter counter = meter.counter("killed", {{"round", name}});
    UpDownCounter level = meter.up_down_counter("level", {{"round", name}});
    Histogram histogram = meter.histogram("sizes", {{"round", name}});
    std::mt19937 random(seed);
    for (std::int64_t i = 1;; ++i) {
        counter.add(1);
        totals.adds.store(i, std::memory_order_relaxed);
        level.add(i % 3 == 0 ? -2 : 1);
        totals.level.store(i, std::memory_order_relaxed);
        const std::int64_t value = (random() % 1024 >> (i / 1000 % 10)) * (i % 5 == 0 ? -1 : 1);
        totals.in_flight.store(value, std::memory_order_relaxed);
        histogram.record(static_cast<double>(value));
        totals.record_sum.store(totals.record_sum.load(std::memory_order_relaxed) + value,
                                std::memory_order_relaxed);
        totals.records.store(i, std::memory_order_relaxed);
    }
}

/// After so many steps of count_for_ever().
std::int64_t level_after(std::int64_t steps) {
    return steps - 3 * (steps / 3);
}

}  // namespace

// Method: a process counts and tells after each call what it has counted, in shared memory. It is
// killed at a random moment, often before its first report. The next process sends what it left;
// now and then that is killed, too. Then each sum on the leader is what was told, or has besides
// the one call that was under way.
TEST_CASE("after kill -9 every increment is on the leader, once") {
    if (!kCanForkThreads) return;
    const int rounds = std::getenv("HOMEWARD_FULL") != nullptr ? 200 : 12;
    const std::size_t bytes = sizeof(Totals) * static_cast<std::size_t>(rounds);
    void* shared =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    auto* totals = static_cast<Totals*>(shared);
    Bridge bridge;
    bridge.start_consumer();
    const PublisherOptions options = options_of(bridge);
    std::mt19937 random(20261130);
    for (int round = 0; round < rounds; ++round) {
        const auto seed = static_cast<std::uint32_t>(random());
        const pid_t child = ::fork();
        if (child == 0) count_for_ever(options, round, totals[round], seed);
        int waits = 30'000;  // by its count: a machine that stands still takes no turn of ours
        while (totals[round].records < 1'000 && --waits > 0) {
            std::this_thread::sleep_for(1ms);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
        ::kill(child, SIGKILL);
        REQUIRE(::waitpid(child, nullptr, 0) == child);
        REQUIRE(totals[round].records >= 1'000);
    }
    {
        Publisher heir(options);
        CHECK(heir.close(300s).done);
    }
    const PostgresServer& leader = bridge.leader();
    const std::string all_there =
        "SELECT (count(*) = 0)::int FROM homeward.proof WHERE class = 'metric'"
        " AND accepted > committed + dead_lettered + tombstoned";
    const auto settled = std::chrono::steady_clock::now() + 300s;
    while (leader.number(all_there) != 1 && std::chrono::steady_clock::now() < settled) {
        std::this_thread::sleep_for(50ms);
    }
    CHECK(leader.number("SELECT count(*) FROM homeward.dead_letter") == 0);
    for (int round = 0; round < rounds; ++round) {
        INFO("round " << round);
        const Totals& told = totals[round];
        const auto sum_of = [&](const std::string& what, const std::string& name) {
            return leader.number("SELECT coalesce(sum(" + what +
                                 "), 0)::int8 FROM metric_points WHERE attributes->>'round' = '" +
                                 std::to_string(round) + "' AND name = '" + name + "'");
        };
        const std::int64_t adds = sum_of("sum", "killed");
        CHECK((adds == told.adds || adds == told.adds + 1));
        const std::int64_t level = sum_of("sum", "level");
        CHECK((level == level_after(told.level) || level == level_after(told.level + 1)));
        const std::int64_t records = sum_of("count", "sizes");
        const bool is_torn_in = records == told.records + 1;
        CHECK((records == told.records || is_torn_in));
        // The sum has the values that the count has.
        const std::int64_t sum = sum_of("sum", "sizes");
        CHECK((sum == told.record_sum || (is_torn_in && sum == told.record_sum + told.in_flight)));
        CHECK(records == sum_of("zero_count + (SELECT coalesce(sum(n), 0) FROM"
                                " unnest(positive_counts || negative_counts) AS n)",
                                "sizes"));
    }
    ::munmap(shared, bytes);
}
