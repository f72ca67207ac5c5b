// How fast a filled stream becomes rows on the leader.
//
// Workload: audit events of six fields, their frames already in the stream; homeward-consumer with
// its defaults, then with 1 and 4 writers; then metric events. Beside it, in turns: `psql \copy` of
// the same rows as text into the same table, and frames of columns beside binary `\copy` over as
// many connections. The same leader, with the same settings, for both.
// And batches of a fixed size, each awaited however long it takes: what growing by itself must not
// be much worse than.

#include <algorithm>
#include <cstdio>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward::bench;

constexpr double kSecondsDefault = 8;
/// So many events make a drain last about as long as asked.
constexpr double kEventsPerSecond = 300'000;
constexpr int kRounds = 2;
constexpr double kAuditMin = 300'000;
constexpr double kMetricMin = 500'000;
constexpr double kOfBestFixedMin = 0.95;
constexpr double kOfBinaryCopyMin = 0.95;
constexpr int kFixedRows[] = {1'000, 5'000, 20'000, 80'000};
constexpr const char* kTable = "audit_events";

Environment writers(int count) {
    return {{"HOMEWARD_BATCH_WRITERS", std::to_string(count)}};
}

Environment fixed_batches(int rows) {
    return {{"HOMEWARD_BATCH_ROWS_MAX", std::to_string(rows)},
            {"HOMEWARD_BATCH_BYTES_MAX", std::to_string(64 << 20)},
            {"HOMEWARD_BATCH_DELAY_MS", "2000"}};
}

class DrainBench {
  public:
    DrainBench(const BenchOptions& options, Report& report)
        : events_(static_cast<std::uint64_t>(options.seconds * kEventsPerSecond)),
          report_(report) {}

    void run() {
        const std::string file = line_.dir() / "rows.tsv";
        double ours = 0, copy = 0, best_ours = 0;
        for (int round = 0; round < kRounds; ++round) {
            const double rate = audit_rate();
            ours += rate / kRounds;
            best_ours = std::max(best_ours, rate);
            if (round == 0) dump_table(line_, kTable, file);
            copy += copy_in(line_, kTable, file).rows_per_second() / kRounds;
        }
        const std::string opponent = "psql \\copy: " + short_number(copy) + "/s";
        report_.begin("stream -> leader: rows committed, " +
                      short_number(static_cast<double>(events_)) + " a turn");
        report_.add({"drain audit, 2 writers (default)", ours, "rows/s", "", std::nan(""),
                     value_at_least(kAuditMin)});
        report_.add({"drain audit, 2 writers, is faster", ours, "rows/s", opponent, ours / copy,
                     ratio_at_least(1.0)});
        for (const int count : {1, 4}) {
            const double rate = audit_rate(writers(count));
            report_.add(
                {"drain audit, " + std::to_string(count) + (count == 1 ? " writer" : " writers"),
                 rate, "rows/s", opponent, rate / copy});
        }
        compare_columns();
        compare_fixed(best_ours);
        fill_metric(line_, events_);
        report_.add({"drain metric", drain(line_, "metric_events", events_).rows_per_second(),
                     "rows/s", "", std::nan(""), value_at_least(kMetricMin)});
    }

  private:
    /// With columns the leader is what limits: as many connections as writers, and nothing else.
    void compare_columns() {
        double ours = 0, copy = 0;
        for (int round = 0; round < kRounds; ++round) {
            fill_audit(line_, events_, 2);
            ours += drain(line_, kTable, events_).rows_per_second() / kRounds;
            copy += copy_in_parallel(line_, kTable, 2).rows_per_second() / kRounds;
        }
        report_.add({"drain audit in columns, 2 writers", ours, "rows/s",
                     "binary \\copy, 2 connections: " + short_number(copy) + "/s", ours / copy,
                     ratio_at_least(kOfBinaryCopyMin)});
    }

    void compare_fixed(double ours) {
        double best = 0;
        int best_rows = 0;
        for (const int rows : kFixedRows) {
            const double rate = audit_rate(fixed_batches(rows));
            report_.note("always " + short_number(rows) + " rows: " + short_number(rate) +
                         " rows/s");
            if (rate > best) best_rows = rows;
            best = std::max(best, rate);
        }
        report_.add({"drain audit, batches that grow by themselves", ours, "rows/s",
                     "always " + short_number(best_rows) + " rows: " + short_number(best) + "/s",
                     ours / best, ratio_at_least(kOfBestFixedMin)});
    }

    double audit_rate(const Environment& differing = {}) {
        fill_audit(line_, events_);
        return drain(line_, kTable, events_, differing).rows_per_second();
    }

    std::uint64_t events_;
    Report& report_;
    Line line_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        DrainBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_drain: %s\n", error.what());
        return 1;
    }
}
