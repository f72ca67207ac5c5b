#include "tests/bench/support/drain.hpp"

#include <time.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "consumer/tune/process_stat.hpp"
#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/leader_cpu.hpp"
#include "tests/bench/support/workload.hpp"

namespace homeward::bench {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kSamples = 16'384;
/// A few hundred metric events fill no lane: those would be dropped, audit is only refused.
constexpr std::uint64_t kMetricBurst = 2'000;

std::string clause_of(CopyFormat format) {
    return format == CopyFormat::binary ? " (FORMAT binary)" : " (FORMAT text)";
}

double cpu_seconds(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Of all threads of this process but the calling one.
double cpu_seconds_of_others() {
    return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
}

void finish(Publisher& publisher) {
    if (!publisher.close(120s).done) throw std::runtime_error("the stream does not take events");
}

std::string psql(const testing::PostgresServer& leader, const std::string& command) {
    const auto result = testing::run_command(
        {"psql", "-X", "-d", leader.url(), "-c", "\\timing on", "-c", command}, {}, 600s);
    if (result.exit_code != 0) throw std::runtime_error("psql:\n" + result.output);
    return result.output;
}

}  // namespace

Filled fill_audit(Line& line, std::uint64_t events, std::uint8_t frame_version) {
    const auto samples = audit_samples(kSamples);
    const AppHome home;
    PublisherOptions options = home.options(line.nats().url());
    options.frame_version = frame_version;
    const double others_at_start = cpu_seconds_of_others();
    const double nats_at_start = consumer::family_seconds(line.nats().pid());
    Publisher publisher(options);
    Filled filled;
    for (std::uint64_t i = 0; i < events; ++i) {
        const AuditSample& sample = samples[i % samples.size()];
        const events::Audit event = sample.event();
        filled.json_bytes += static_cast<double>(sample.json.size() + 1);
        while (publisher.emit(event) == EmitResult::full) std::this_thread::sleep_for(100us);
    }
    finish(publisher);
    filled.wire_bytes = static_cast<double>(publisher.stats().audit.wire_bytes);
    filled.publisher_cpu_seconds = cpu_seconds_of_others() - others_at_start;
    filled.nats_cpu_seconds = consumer::family_seconds(line.nats().pid()) - nats_at_start;
    return filled;
}

void fill_metric(Line& line, std::uint64_t events) {
    const auto samples = metric_samples(kSamples);
    const AppHome home;
    Publisher publisher(home.options(line.nats().url()));
    for (std::uint64_t i = 0; i < events; ++i) {
        publisher.emit(samples[i % samples.size()].event());
        if (i % kMetricBurst == 0) publisher.flush(10s, FlushUntil::logged);
    }
    finish(publisher);
}

Ingest drain(Line& line, const std::string& table, std::uint64_t events,
             const Environment& differing) {
    line.empty_table(table);
    const LeaderCpu cpu(line.leader());
    const double nats_at_start = consumer::family_seconds(line.nats().pid());
    line.start_consumer(differing);
    line.wait_for_metric("homeward_rows_total", 1);
    const auto began = SteadyClock::now();
    const double early = line.metric("homeward_rows_total");
    const double client_at_start = line.consumer_cpu_seconds();
    line.wait_for_metric("homeward_rows_total", static_cast<double>(events));
    Ingest ingest;
    ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
    // What came before the clock ran counts neither as rows nor as time.
    const double all_to_late = static_cast<double>(events) / (static_cast<double>(events) - early);
    ingest.seconds *= all_to_late;
    ingest.client_cpu_seconds = (line.consumer_cpu_seconds() - client_at_start) * all_to_late;
    ingest.rows = static_cast<double>(events);
    ingest.nats_cpu_seconds = consumer::family_seconds(line.nats().pid()) - nats_at_start;
    line.wait_for_metric("homeward_compacted_frames_total", 1);
    line.stop_consumer();
    line.leader().query("CHECKPOINT");
    ingest.leader_cpu_seconds = cpu.seconds();
    const auto found = line.leader().number("SELECT count(*) FROM " + table);
    if (found != static_cast<std::int64_t>(events)) {
        throw std::runtime_error(table + " has " + std::to_string(found) + " rows, not " +
                                 std::to_string(events));
    }
    return ingest;
}

void dump_table(Line& line, const std::string& table, const std::string& file, CopyFormat format) {
    psql(line.leader(),
         "\\copy (SELECT * FROM " + table + ") to '" + file + "'" + clause_of(format));
}

Ingest copy_in_parallel(Line& line, const std::string& table, int connections) {
    const auto rows = static_cast<double>(line.leader().number("SELECT count(*) FROM " + table));
    const auto file_of = [&](int share) {
        return (line.dir() / ("share." + std::to_string(share))).string();
    };
    for (int share = 0; share < connections; ++share) {
        psql(line.leader(), "\\copy (SELECT * FROM " + table + " WHERE seq % " +
                                std::to_string(connections) + " = " + std::to_string(share) +
                                ") to '" + file_of(share) + "'" + clause_of(CopyFormat::binary));
    }
    line.empty_table(table);
    const LeaderCpu cpu(line.leader());
    const auto began = SteadyClock::now();
    std::vector<std::thread> copies;
    for (int share = 0; share < connections; ++share) {
        copies.emplace_back([&, share] {
            psql(line.leader(), "\\copy " + table + " from '" + file_of(share) + "'" +
                                    clause_of(CopyFormat::binary));
        });
    }
    for (std::thread& copy : copies) copy.join();
    Ingest ingest;
    ingest.rows = rows;
    ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
    line.leader().query("CHECKPOINT");
    ingest.leader_cpu_seconds = cpu.seconds();
    return ingest;
}

Ingest copy_in(Line& line, const std::string& table, const std::string& file, CopyFormat format) {
    line.empty_table(table);
    const LeaderCpu cpu(line.leader());
    const std::string output =
        psql(line.leader(), "\\copy " + table + " from '" + file + "'" + clause_of(format));
    const std::size_t rows = output.find("COPY ");
    const std::size_t time = output.find("Time: ");
    if (rows == std::string::npos || time == std::string::npos) {
        throw std::runtime_error("psql does not say how long it took:\n" + output);
    }
    line.leader().query("CHECKPOINT");
    return {std::atof(output.c_str() + rows + 5), std::atof(output.c_str() + time + 6) / 1000,
            cpu.seconds()};
}

}  // namespace homeward::bench
