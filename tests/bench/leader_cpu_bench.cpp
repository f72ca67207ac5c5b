// What a million rows cost the leader's processors.
//
// Workload: audit events of six fields from a filled stream, through homeward-consumer with its
// defaults: rows, ledger, compaction and a checkpoint at the end. Beside it, in turns: `psql \copy`
// of the same rows as text into the same table, and one INSERT a row, each with a checkpoint at its
// end too; and \copy in binary, which is what no writer can go below. Counted is the processor time
// of all processes of that PostgreSQL.

#include <cstdio>

#include "tests/bench/compared/single_inserts.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward::bench;

constexpr double kSecondsDefault = 8;
constexpr double kEventsPerSecond = 300'000;
constexpr int kRounds = 2;
constexpr double kCopyRatioMax = 0.65;
constexpr double kInsertRatioMax = 1.0 / 20;
constexpr const char* kTable = "audit_events";

void add(Ingest& sum, const Ingest& one) {
    sum.rows += one.rows;
    sum.leader_cpu_seconds += one.leader_cpu_seconds;
}

void run(const BenchOptions& options, Report& report) {
    const auto events = static_cast<std::uint64_t>(options.seconds * kEventsPerSecond);
    Line line;
    const std::string file = line.dir() / "rows.tsv";
    Ingest ours, copy;
    for (int round = 0; round < kRounds; ++round) {
        fill_audit(line, events);
        add(ours, drain(line, kTable, events));
        if (round == 0) dump_table(line, kTable, file);
        add(copy, copy_in(line, kTable, file));
    }
    dump_table(line, kTable, file, CopyFormat::binary);
    const Ingest floor = copy_in(line, kTable, file, CopyFormat::binary);
    const Ingest single = insert_singly(line, options.seconds);

    const double own = ours.cpu_per_million();
    report.begin("processor seconds of the leader per million rows");
    report.add({"leader CPU, share of \\copy", own, "s/M rows",
                "psql \\copy: " + short_number(copy.cpu_per_million()) + " s/M rows",
                own / copy.cpu_per_million(), ratio_at_most(kCopyRatioMax)});
    report.add({"leader CPU, of binary \\copy, the least possible", own, "s/M rows",
                "binary: " + short_number(floor.cpu_per_million()) + " s/M rows",
                own / floor.cpu_per_million()});
    report.add({"leader CPU, share of single INSERTs", own, "s/M rows",
                "INSERT: " + short_number(single.cpu_per_million()) + " s/M rows",
                own / single.cpu_per_million(), ratio_at_most(kInsertRatioMax)});
    report.note("single INSERTs ran at " + short_number(single.rows_per_second()) +
                " rows/s, each waiting for its commit");
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_leader_cpu: %s\n", error.what());
        return 1;
    }
}
