// What plain messages, one JSON event each from any NATS client, cost on their way to the leader.
//
// Workload: audit events of six fields as single messages of a filled stream, through
// homeward-consumer with its defaults, compaction included. Beside it, in the same run: a sink of a
// hundred lines (Fetch, decode, binary COPY, COMMIT, acknowledge), and our puller that acknowledges
// and writes nothing. Counted is also the processor time of the leader, of nats-server and of
// whoever pulls: where they share two processors, their sum bounds what can be drained. Then
// freshness at 1,000 messages a second, seen from outside, on the machine as it is and with as many
// spinning processes as it has processors.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "consumer/nats/stream.hpp"
#include "consumer/pull/pull.hpp"
#include "consumer/tune/process_stat.hpp"
#include "schemas/nats/subject.hpp"
#include "tests/bench/compared/plain_sink.hpp"
#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/leader_cpu.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/bench/support/sightings.hpp"
#include "tests/bench/support/streams.hpp"
#include "tests/bench/support/workload.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 5;
constexpr double kMessagesPerSecond = 40'000;
constexpr std::size_t kSamples = 16'384;
constexpr double kSinkRatioMin = 3;
constexpr double kPullRatioMin = 0.9;
constexpr double kSinkCpuRatioMax = 1.25;
constexpr double kFreshMaxMs = 250;
constexpr const char* kTable = "audit_events";

void fill_plain(Line& line, std::uint64_t messages) {
    constexpr std::int64_t kPendingMax = 4'096;
    const auto samples = audit_samples(kSamples);
    RawNats nats(line.nats().url(), kPendingMax);
    const std::string subject = plain_subject(kRegion, "bench");
    for (std::uint64_t sent = 0; sent < messages;) {
        // Refused while too many wait for their acknowledgement.
        if (nats.publish(subject, samples[sent % samples.size()].json)) ++sent;
    }
    nats.complete(60'000);
    if (nats.acked() != messages) throw std::runtime_error("the stream was not filled");
}

/// Processor time of nats-server and of this process, from its making on.
class PullCpu {
  public:
    explicit PullCpu(Line& line) : nats_(line.nats().pid()) {}
    void read(Ingest& ingest) const {
        ingest.nats_cpu_seconds = consumer::family_seconds(nats_) - nats_at_start_;
        ingest.client_cpu_seconds = own_seconds() - own_at_start_;
    }

  private:
    static double own_seconds() {
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        const auto seconds = [](const timeval& time) {
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
        };
        return seconds(used.ru_utime) + seconds(used.ru_stime);
    }

    pid_t nats_;
    double nats_at_start_ = consumer::family_seconds(nats_);
    double own_at_start_ = own_seconds();
};

/// Our own puller, that acknowledges and writes nothing: there is no leader.
Ingest pull_and_ack(Line& line, const consumer::Stream& stream, std::uint64_t messages) {
    consumer::Config config;
    config.nats.urls = {line.nats().url()};
    consumer::NatsConnection nats(config.nats, std::chrono::seconds(10), [](auto) {});
    consumer::Puller puller(nats, {stream}, config.pull,
                            std::chrono::milliseconds(config.pull.ack_wait_ms));
    const PullCpu cpu(line);
    const auto began = SteadyClock::now();
    for (std::uint64_t taken = 0; taken < messages;) {
        const auto batch = puller.take([&] {
            return consumer::BatchBounds{config.batch.rows_max, config.batch.bytes_max,
                                         std::chrono::milliseconds(config.batch.delay_ms)};
        });
        std::size_t bytes = 0;
        for (const consumer::PulledMessage& one : batch) {
            bytes += one.message.data.size();
            nats.publish(std::string(one.message.reply), "+ACK");
        }
        puller.finish(batch.size(), bytes, SteadyClock::duration(0));
        taken += batch.size();
    }
    Ingest ingest;
    ingest.rows = static_cast<double>(messages);
    ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
    cpu.read(ingest);
    return ingest;
}

Ingest sink(Line& line, const consumer::Stream& stream, std::uint64_t messages) {
    line.empty_table(kTable);
    const LeaderCpu cpu(line.leader());
    const PullCpu pull_cpu(line);
    const auto began = SteadyClock::now();
    sink_plain(line.nats().url(), line.leader().url(), stream.name, stream.durable, messages);
    Ingest ingest;
    ingest.rows = static_cast<double>(messages);
    ingest.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
    pull_cpu.read(ingest);
    line.leader().query("CHECKPOINT");
    ingest.leader_cpu_seconds = cpu.seconds();
    return ingest;
}

/// Messages of one event each, a thousand a second, for so long; how many.
double publish_paced(Line& line, double seconds) {
    constexpr double kPerSecond = 1'000;
    const auto samples = audit_samples(kSamples);
    RawNats nats(line.nats().url());
    const std::string subject = plain_subject(kRegion, "bench");
    const auto began = SteadyClock::now();
    std::size_t i = 0;
    for (; static_cast<double>(i) < seconds * kPerSecond; ++i) {
        std::this_thread::sleep_until(
            began + std::chrono::duration_cast<SteadyClock::duration>(
                        std::chrono::duration<double>(static_cast<double>(i) / kPerSecond)));
        const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::system_clock::now().time_since_epoch());
        std::string event = samples[i % samples.size()].json;
        const std::size_t at = event.find("\"time\":") + 7;
        event.replace(at, event.find(',', at) - at, std::to_string(now_us.count()));
        nats.publish(subject, event);
    }
    nats.complete(60'000);
    return static_cast<double>(i);
}

/// Processes that do nothing but use the processors, each in a session of its own, as other
/// programs are. Linux divides processors between sessions first (autogroup): threads of ours that
/// spin would take them from nats-server and consumer, which are of our session, and from nobody
/// else.
class Busy {
  public:
    explicit Busy(unsigned processes) {
        for (unsigned i = 0; i < processes; ++i) {
            const pid_t process = ::fork();
            if (process == 0) {
                ::setsid();
                ::prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (volatile bool is_over = false; !is_over;) {
                }
            }
            if (process > 0) processes_.push_back(process);
        }
    }
    ~Busy() {
        for (const pid_t process : processes_) {
            ::kill(process, SIGKILL);
            ::waitpid(process, nullptr, 0);
        }
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

    double cpu_seconds() const {
        double sum = 0;
        for (const pid_t process : processes_) sum += consumer::family_seconds(process);
        return sum;
    }

  private:
    std::vector<pid_t> processes_;
};

Freshness freshness(Line& line, double seconds, unsigned busy_processes) {
    // Its start, the first partition and cold caches do not count.
    line.start_consumer();
    const auto first = publish_paced(line, 0.1);
    line.wait_for_metric("homeward_rows_total", first);
    line.empty_table(kTable);
    const Busy busy(busy_processes);
    Sightings sightings(line.leader());
    const auto published = publish_paced(line, seconds);
    line.wait_for_metric("homeward_rows_total", first + published);
    const Freshness found = sightings.judge(kTable);
    if (busy_processes > 0) {
        std::printf("  (the busy processes used %.1f s of processors meanwhile)\n",
                    busy.cpu_seconds());
    }
    line.stop_consumer();
    return found;
}

/// What a party's rows cost all processors, and how near it came to what that leaves room for.
void add_processors(Report& report, const std::string& who, const Ingest& ingest) {
    const auto part = [&](double seconds) { return short_number(seconds / ingest.rows * 1e6); };
    const double most = std::thread::hardware_concurrency() * 1e6 / ingest.total_cpu_per_million();
    report.add({"plain, processors that " + who + " uses", ingest.total_cpu_per_million(),
                "s/M rows",
                "NATS " + part(ingest.nats_cpu_seconds) + ", client " +
                    part(ingest.client_cpu_seconds) + ", leader " +
                    part(ingest.leader_cpu_seconds) + "; room for " + short_number(most) + "/s",
                ingest.rows_per_second() / most});
}

void add_freshness(Report& report, const std::string& when, const Freshness& found) {
    report.add({"plain, freshness p50 at 1,000 events/s" + when, found.p50_ms, "ms"});
    report.add({"plain, freshness p99 at 1,000 events/s" + when, found.p99_ms, "ms", "",
                std::nan(""), value_at_most(kFreshMaxMs)});
}

void run(const BenchOptions& options, Report& report) {
    const auto messages = static_cast<std::uint64_t>(options.seconds * kMessagesPerSecond);
    Line line;
    consumer::Config config;
    config.sources = {consumer::Source{kRegion, "", 1, {StreamKind::plain}}};
    const consumer::Stream stream = streams_of(config).at(0);
    fill_plain(line, messages);
    const Ingest ours = drain(line, kTable, messages);
    fill_plain(line, messages);
    const Ingest theirs = sink(line, stream, messages);
    fill_plain(line, messages);
    const Ingest pulled = pull_and_ack(line, stream, messages);
    const Freshness idle = freshness(line, options.seconds, 0);
    const Freshness loaded = freshness(line, options.seconds, std::thread::hardware_concurrency());

    report.begin("plain messages of one event each into the leader");
    report.add({"plain drain, beside a sink", ours.rows_per_second(), "rows/s",
                "sink: " + short_number(theirs.rows_per_second()) + " rows/s",
                ours.rows_per_second() / theirs.rows_per_second(), ratio_at_least(kSinkRatioMin)});
    report.add({"plain drain, of pull and acknowledge alone", ours.rows_per_second(), "rows/s",
                "no leader: " + short_number(pulled.rows_per_second()) + " messages/s",
                ours.rows_per_second() / pulled.rows_per_second(), ratio_at_least(kPullRatioMin)});
    report.add({"plain, leader CPU beside a sink", ours.cpu_per_million(), "s/M rows",
                "sink: " + short_number(theirs.cpu_per_million()) + " s/M rows",
                ours.cpu_per_million() / theirs.cpu_per_million(),
                ratio_at_most(kSinkCpuRatioMax)});
    add_processors(report, "the drain", ours);
    add_processors(report, "the sink", theirs);
    add_processors(report, "pull and acknowledge", pulled);
    add_freshness(report, "", idle);
    add_freshness(report, ", every processor busy", loaded);
    report.note(
        "the sink: nats.c's Fetch of up to 1,000, nlohmann::json, one binary COPY by libpq, "
        "COMMIT, "
        "an ack for each message, one after the other; no ledger, no dead letters, no proof, no "
        "retry: a message that comes again is a second row");
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_plain: %s\n", error.what());
        return 1;
    }
}
