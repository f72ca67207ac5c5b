// How long events stand still after a kill -9 of the consumer.
//
// Workload: audit events in a filled stream, the consumer with its defaults. First its transactions
// wait for a lock while all that it fetches ahead is in its hands; it is killed, the lock goes, and
// another consumer begins at once. Then ten kills in a drain of 300,000, each after its first
// commit; beside it, in the same run, the same drain without one. No row may be doubled.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 3;
constexpr double kEventsPerSecond = 100'000;
constexpr double kRecoveryMaxSeconds = 5;
constexpr int kKills = 10;
/// Longer than deadlines take to be extended for the first time.
constexpr int kInHandMs = 3'000;
constexpr const char* kTable = "audit_events";
constexpr const char* kRows = "homeward_rows_total";

double since(SteadyClock::time_point began) {
    return std::chrono::duration<double>(SteadyClock::now() - began).count();
}

class RecoveryBench {
  public:
    RecoveryBench(const BenchOptions& options, Report& report)
        : events_(static_cast<std::int64_t>(options.seconds * kEventsPerSecond)), report_(report) {}

    void run() {
        const double blocked = recover_from_blocked();
        fill();
        const double whole = drain(line_, kTable, static_cast<std::uint64_t>(events_)).seconds;
        fill();
        const double killed = drain_with_kills();
        report_.begin("kill -9 of the consumer, the next one begins at once");
        report_.add({"recovery, all in hand", blocked, "s", "", std::nan(""),
                     value_at_most(kRecoveryMaxSeconds)});
        report_.add({"recovery, " + std::to_string(kKills) + " kills in a drain", killed, "s",
                     "without: " + short_number(whole) + " s"});
        report_.note(short_number(static_cast<double>(events_)) +
                     " events, none of them doubled; starts included, each after the consumer "
                     "before has committed something");
    }

  private:
    void fill() {
        line_.empty_table(kTable);
        fill_audit(line_, static_cast<std::uint64_t>(events_));
    }
    std::int64_t rows() {
        return line_.leader().number(std::string("SELECT count(*) FROM ") + kTable);
    }
    void wait_for_rows(std::int64_t rows_min) {
        const bool done =
            testing::wait_until(std::chrono::minutes(5), [&] { return rows() >= rows_min; });
        if (!done || rows() > events_) {
            throw std::runtime_error(std::to_string(rows()) + " rows of " +
                                     std::to_string(events_));
        }
    }

    double recover_from_blocked() {
        fill();
        testing::Process locker({"psql", "-q", line_.leader().url(), "-c",
                                 "BEGIN; LOCK TABLE audit_events; SELECT pg_sleep(600)"},
                                {.log = "/dev/null"});
        testing::wait_until(std::chrono::seconds(10), [&] { return sessions("PgSleep") > 0; });
        line_.start_consumer();
        testing::wait_until(std::chrono::seconds(30), [&] { return sessions("relation") > 0; });
        testing::sleep_ms(kInHandMs);
        line_.kill_consumer();
        const auto killed = SteadyClock::now();
        line_.leader().query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep'");
        line_.start_consumer();
        wait_for_rows(events_);
        const double took = since(killed);
        line_.stop_consumer();
        return took;
    }
    std::int64_t sessions(const std::string& wait_event) {
        return line_.leader().number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = '" +
                                     wait_event + "'");
    }

    double drain_with_kills() {
        const auto began = SteadyClock::now();
        for (int kill = 0; kill < kKills; ++kill) {
            const std::int64_t before = rows();
            line_.start_consumer();
            wait_for_rows(std::min(before + 1, events_));
            line_.kill_consumer();
        }
        line_.start_consumer();
        wait_for_rows(events_);
        const double took = since(began);
        line_.stop_consumer();
        return took;
    }

    std::int64_t events_;
    Report& report_;
    Line line_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        RecoveryBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_recovery: %s\n", error.what());
        return 1;
    }
}
