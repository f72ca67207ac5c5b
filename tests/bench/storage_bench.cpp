// What packs save the leader, and what they cost readers.
//
// Workload: audit events of six fields in frames of columns, drained by homeward-consumer with its
// defaults into the table of rows; then the same type with "storage": "packed"; then packed with an
// index on request_id. Beside them `psql \copy` of the same rows as text. Counted are the processor
// time of all processes of that PostgreSQL, its WAL, and the size of the table with its indexes; in
// turns of their own, the processor time of a streaming standby.
// Queries run on a warm cache, the median of five; rows have no index but BRIN on time.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/leader_cpu.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward::bench;
using namespace std::chrono_literals;

constexpr double kSecondsDefault = 8;
constexpr double kEventsPerSecond = 300'000;
constexpr int kQueryRounds = 5;
constexpr double kLeaderRatioMax = 0.40;
constexpr double kSizeRatioMax = 0.40;
constexpr double kConsumerMax = 0.25;
constexpr double kDrainMin = 1.2e6;
constexpr double kScanRatioMax = 3;
constexpr double kPointMsMax = 200;
constexpr std::uint8_t kColumnsVersion = 2;
constexpr const char* kTable = "audit_events";
constexpr const char* kPacked = R"("storage": "packed")";
constexpr const char* kFullScan = "SELECT max(length(e::text)) FROM audit_events e";

struct Stored {
    Ingest ingest;
    double wal_bytes = 0;
    double table_bytes = 0;
};

double wal_position(Line& line) {
    return static_cast<double>(line.leader().number("SELECT (pg_current_wal_lsn() - '0/0')::int8"));
}

double size_of(Line& line, const std::string& pattern) {
    return static_cast<double>(
        line.leader().number("SELECT sum(pg_total_relation_size(inhrelid))::int8 FROM pg_inherits"
                             " WHERE inhparent::regclass::text LIKE '" +
                             pattern + "' AND inhrelid::regclass::text NOT LIKE '%idx'"));
}

double milliseconds_of(Line& line, const std::string& query) {
    std::vector<double> times;
    for (int round = 0; round < kQueryRounds; ++round) {
        const auto began = std::chrono::steady_clock::now();
        line.leader().query("SET jit = off; SET max_parallel_workers_per_gather = 0; " + query);
        times.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
                .count());
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

class StorageBench {
  public:
    StorageBench(const BenchOptions& options, Report& report)
        : events_(static_cast<std::uint64_t>(options.seconds * kEventsPerSecond)), report_(report) {
        std::filesystem::create_directories(line_.dir() / "types");
        environment_["HOMEWARD_SCHEMA_TYPES_DIR"] = (line_.dir() / "types").string();
    }

    void run() {
        const double standby_rows = standby_cpu("");
        const Stored rows = drain_as("");
        const double scan_rows = milliseconds_of(line_, kFullScan);
        const double point_rows = milliseconds_of(line_, point_query(kTable));
        const std::string file = line_.dir() / "rows.tsv";
        dump_table(line_, kTable, file);
        const Ingest text = copy_in(line_, kTable, file);

        const Stored packed = drain_as(kPacked);
        report_.begin("packs of up to 2,000 events, " + short_number(static_cast<double>(events_)) +
                      " of them");
        report_costs(rows, packed, text);
        const double scan = milliseconds_of(line_, kFullScan);
        report_.add({"full scan of the view, every column", scan, "ms",
                     "rows: " + short_number(scan_rows) + " ms", scan / scan_rows,
                     ratio_at_most(kScanRatioMax)});
        const std::string by_id = "audit_events_by_request_id";
        const double unindexed = milliseconds_of(line_, function_query(by_id));
        report_.add({"one request_id by its function, no index", unindexed, "ms",
                     "rows, full scan: " + short_number(point_rows) + " ms",
                     unindexed / point_rows});

        const double standby = standby_cpu(kPacked);
        report_.add({"standby CPU, packed", standby, "s/M rows",
                     "rows: " + short_number(standby_rows) + " s/M rows", standby / standby_rows});
        report_.note("the request_id is in " + events_with_request() +
                     " events, each in another pack");

        const Stored indexed =
            drain_as(R"("storage": "packed", "indexes": [{"columns": ["request_id"]}])");
        const double found = milliseconds_of(line_, function_query(by_id));
        report_.add({"one request_id by its function, with the index", found, "ms",
                     "rows, full scan: " + short_number(point_rows) + " ms", found / point_rows,
                     value_at_most(kPointMsMax)});
        report_.add({"leader CPU with the index on request_id", indexed.ingest.cpu_per_million(),
                     "s/M rows",
                     "without: " + short_number(packed.ingest.cpu_per_million()) + " s/M rows",
                     indexed.ingest.cpu_per_million() / packed.ingest.cpu_per_million()});
        report_.add({"size with the index on request_id", indexed.table_bytes, "bytes",
                     "without: " + short_number(packed.table_bytes),
                     indexed.table_bytes / packed.table_bytes});
    }

  private:
    /// What the shipped type is changed by; empty: nothing.
    Stored drain_as(const std::string& storage) {
        change_type(storage);
        fill_audit(line_, events_, kColumnsVersion);
        Stored stored;
        line_.empty_table(kTable);
        const double wal = wal_position(line_);
        stored.ingest = drain(line_, kTable, events_, environment_);
        stored.wal_bytes = wal_position(line_) - wal;
        stored.table_bytes = size_of(line_, "%audit_events%");
        return stored;
    }

    /// Processor seconds that a streaming standby spends on a million rows, until it has replayed
    /// all of them. A turn of its own: on one machine it slows down the leader.
    double standby_cpu(const std::string& storage) {
        const auto events = events_ / 4;
        change_type(storage);
        fill_audit(line_, events, kColumnsVersion);
        line_.empty_table(kTable);
        const auto standby = homeward::testing::PostgresServer::standby_of(line_.leader());
        const LeaderCpu cpu(*standby);
        drain(line_, kTable, events, environment_);
        const std::string end = line_.leader().query("SELECT pg_current_wal_lsn()")[0][0];
        const bool is_replayed = homeward::testing::wait_until(60s, [&] {
            return standby->number("SELECT (pg_last_wal_replay_lsn() >= '" + end + "')::int") == 1;
        });
        if (!is_replayed) throw std::runtime_error("the standby does not replay");
        return cpu.seconds() / static_cast<double>(events) * 1e6;
    }

    std::string events_with_request() {
        return std::to_string(line_.leader().number(point_query(kTable)));
    }

    void change_type(const std::string& storage) {
        if (storage.empty()) return;
        std::ofstream(line_.dir() / "types" / "audit.override.json")
            << R"({"title": "audit", "x-homeward": {)" << storage << "}}";
        line_.apply_schema(environment_);
    }

    void report_costs(const Stored& rows, const Stored& packed, const Ingest& text) {
        const double own = packed.ingest.cpu_per_million();
        report_.add({"leader CPU, packed, share of \\copy", own, "s/M rows",
                     "psql \\copy: " + short_number(text.cpu_per_million()) + " s/M rows",
                     own / text.cpu_per_million(), ratio_at_most(kLeaderRatioMax)});
        report_.add({"leader CPU, packed, share of rows", own, "s/M rows",
                     "rows: " + short_number(rows.ingest.cpu_per_million()) + " s/M rows",
                     own / rows.ingest.cpu_per_million()});
        report_.add({"WAL, packed", packed.wal_bytes, "bytes",
                     "rows: " + short_number(rows.wal_bytes), packed.wal_bytes / rows.wal_bytes,
                     ratio_at_most(kSizeRatioMax)});
        report_.add({"disk, packed", packed.table_bytes, "bytes",
                     "rows: " + short_number(rows.table_bytes),
                     packed.table_bytes / rows.table_bytes, ratio_at_most(kSizeRatioMax)});
        report_.add({"drain, packed", packed.ingest.rows_per_second(), "events/s",
                     "rows: " + short_number(rows.ingest.rows_per_second()) + "/s",
                     packed.ingest.rows_per_second() / rows.ingest.rows_per_second(),
                     value_at_least(kDrainMin)});
        const double consumer = packed.ingest.client_cpu_seconds / packed.ingest.rows * 1e6;
        report_.add(
            {"consumer CPU, packed", consumer, "s/M rows",
             "rows: " + short_number(rows.ingest.client_cpu_seconds / rows.ingest.rows * 1e6) +
                 " s/M rows",
             consumer / (rows.ingest.client_cpu_seconds / rows.ingest.rows * 1e6),
             value_at_most(kConsumerMax)});
    }

    std::string point_query(const std::string& table) {
        return "SELECT count(*) FROM " + table + " WHERE request_id = '" + some_request() + "'";
    }
    std::string function_query(const std::string& function) {
        return "SELECT count(*) FROM " + function + "('" + some_request() + "')";
    }
    std::string some_request() {
        if (request_.empty()) {
            request_ = line_.leader().query(
                "SELECT request_id FROM audit_events"
                " OFFSET 1000 LIMIT 1")[0][0];
        }
        return request_;
    }

    std::uint64_t events_;
    Report& report_;
    Line line_;
    Environment environment_;
    std::string request_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        StorageBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_storage: %s\n", error.what());
        return 1;
    }
}
