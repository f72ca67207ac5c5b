// What a million audit events cost the processors on their way: the publisher, nats-server, the
// consumer, the leader.
//
// Workload: audit events of six fields, as fast as the publisher takes them, into the stream; then
// through homeward-consumer with its defaults into the leader. Once with frames of version 1, lines
// of JSON, and once with version 2, columns, in turns. Counted of the publisher is the time of all
// its threads, without the one that emits; of the others, all their processes. Beside them
// `psql \copy` of the same rows as text. All on one machine.

#include <cstdio>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward::bench;

constexpr double kSecondsDefault = 8;
constexpr double kEventsPerSecond = 250'000;
constexpr int kRounds = 2;
constexpr double kPublisherMax = 0.6;
constexpr double kConsumerMax = 0.4;
constexpr double kLeaderRatioMax = 0.85;
constexpr double kWirePercentMax = 9;
constexpr const char* kTable = "audit_events";

/// Seconds per million events, and wire bytes, of one frame version.
struct Cost {
    double publisher = 0;
    double nats_in = 0;
    double nats_out = 0;
    double consumer = 0;
    double leader = 0;
    double wire_percent = 0;
    double rows_per_second = 0;

    double nats() const { return nats_in + nats_out; }
    double total() const { return publisher + nats() + consumer + leader; }
};

void add(Cost& sum, const Filled& filled, const Ingest& ingest) {
    const double millions = ingest.rows / 1e6 * kRounds;
    sum.publisher += filled.publisher_cpu_seconds / millions;
    sum.nats_in += filled.nats_cpu_seconds / millions;
    sum.nats_out += ingest.nats_cpu_seconds / millions;
    sum.consumer += ingest.client_cpu_seconds / millions;
    sum.leader += ingest.leader_cpu_seconds / millions;
    sum.wire_percent += filled.wire_percent() / kRounds;
    sum.rows_per_second += ingest.rows_per_second() / kRounds;
}

void report_rows(Report& report, const Cost& lines, const Cost& columns, double copy) {
    const auto beside = [](double value) { return "lines: " + short_number(value) + " s/M"; };
    report.begin("processor seconds per million events, by columns");
    report.add({"publisher, all its threads", columns.publisher, "s/M", beside(lines.publisher),
                columns.publisher / lines.publisher, value_at_most(kPublisherMax)});
    report.add({"nats-server, both ways", columns.nats(), "s/M", beside(lines.nats()),
                columns.nats() / lines.nats(), ratio_at_most(1.0)});
    report.add({"consumer", columns.consumer, "s/M", beside(lines.consumer),
                columns.consumer / lines.consumer, value_at_most(kConsumerMax)});
    report.add({"leader, share of \\copy as text", columns.leader, "s/M",
                "psql \\copy: " + short_number(copy) + " s/M", columns.leader / copy,
                ratio_at_most(kLeaderRatioMax)});
    report.add({"all four", columns.total(), "s/M", beside(lines.total()),
                columns.total() / lines.total()});
    report.add({"wire bytes, percent of JSON", columns.wire_percent, "%",
                "lines: " + short_number(lines.wire_percent) + "%",
                columns.wire_percent / lines.wire_percent, value_at_most(kWirePercentMax)});
    report.add({"drain", columns.rows_per_second, "rows/s",
                "lines: " + short_number(lines.rows_per_second) + "/s",
                columns.rows_per_second / lines.rows_per_second});
}

void run(const BenchOptions& options, Report& report) {
    const auto events =
        static_cast<std::uint64_t>(options.seconds * kEventsPerSecond / (2 * kRounds));
    Line line;
    const std::string file = line.dir() / "rows.tsv";
    Cost lines, columns;
    double copy = 0;
    for (int round = 0; round < kRounds; ++round) {
        const Filled by_lines = fill_audit(line, events, 1);
        add(lines, by_lines, drain(line, kTable, events));
        const Filled by_columns = fill_audit(line, events, 2);
        add(columns, by_columns, drain(line, kTable, events));
        if (round == 0) dump_table(line, kTable, file);
        copy += copy_in(line, kTable, file).cpu_per_million() / kRounds;
    }
    report_rows(report, lines, columns, copy);
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_cpu: %s\n", error.what());
        return 1;
    }
}
