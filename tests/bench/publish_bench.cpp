// How many events one process brings into JetStream.
//
// Workload: the audit event of six fields, as fast as emit() takes them, from 1 and from 4 threads;
// counted is what the stream has acknowledged, after a warm-up. Beside it, in turns, against the
// same nats-server and into a stream with the same settings: one js_PublishMsgAsync per event, the
// event as JSON. Server and process share the machine. Wire bytes are those of the same run, also
// with request ids that are random UUIDs, which do not compress.

#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include <homeward/publisher.hpp>

#include "schemas/nats/subject.hpp"
#include "tests/bench/compared/raw_nats.hpp"
#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/bench/support/streams.hpp"
#include "tests/bench/support/workload.hpp"

namespace {

using namespace std::chrono_literals;
using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 12;
constexpr int kRounds = 2;
constexpr double kWarmUpShare = 0.2;
constexpr std::size_t kSamples = 16'384;
constexpr double kRateMin = 1'000'000;
constexpr double kRatioMin = 6;
constexpr double kWirePercentMax = 20;
/// What makes nats.c fast: enough to keep the server busy, few enough to bound its memory.
constexpr std::int64_t kRawPendingMax = 16'384;

struct Rate {
    double events_per_second = 0;
    double wire_percent = 0;  ///< of the same events as JSON
};

/// What `count()` grew by, per second, while `work()` ran on so many threads.
template <typename Work, typename Count>
double rate_of(int threads, double seconds, Work work, Count count) {
    std::atomic<bool> stopping{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back([&, i] { work(i, stopping); });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * kWarmUpShare));
    const auto began = SteadyClock::now();
    const std::uint64_t before = count();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * (1 - kWarmUpShare)));
    const std::uint64_t after = count();
    const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
    stopping = true;
    for (std::thread& worker : workers) worker.join();
    return static_cast<double>(after - before) / took;
}

class PublishBench {
  public:
    PublishBench(const BenchOptions& options, Report& report)
        : turn_(options.seconds / kRounds / 2), report_(report) {
        make_streams(server_);
    }

    void run() {
        const auto counted = audit_samples(kSamples);
        const auto random = audit_samples(kSamples, RequestIds::random_uuid);
        Rate ours, threaded;
        double raw = 0;
        for (int round = 0; round < kRounds; ++round) {
            add(ours, publish(counted, 1, turn_));
            raw += publish_raw(counted) / kRounds;
            add(threaded, publish(counted, 4, turn_ / 2));
        }
        const Rate incompressible = publish(random, 1, turn_ / 2);

        report_.begin("publisher -> JetStream, one process: acknowledged events");
        const std::string opponent = "js_PublishMsgAsync: " + short_number(raw) + "/s";
        report_.add({"publish, 1 thread", ours.events_per_second, "events/s", "", std::nan(""),
                     value_at_least(kRateMin)});
        report_.add({"publish, 1 thread, is faster", ours.events_per_second, "events/s", opponent,
                     ours.events_per_second / raw, ratio_at_least(kRatioMin)});
        report_.add({"publish, 4 threads", threaded.events_per_second, "events/s", opponent,
                     threaded.events_per_second / raw});
        report_.add({"wire bytes, percent of JSON", ours.wire_percent, "%", "", std::nan(""),
                     value_at_most(kWirePercentMax)});
        report_.add({"the same with random UUIDs in events", incompressible.wire_percent, "%"});
        report_.note("as JSON an event has " + short_number(json_bytes(counted)) +
                     " bytes; the server ran on the same processors");
    }

  private:
    static double json_bytes(const std::vector<AuditSample>& samples) {
        double sum = 0;
        for (const AuditSample& sample : samples) sum += static_cast<double>(sample.json.size());
        return sum / static_cast<double>(samples.size());
    }

    static void add(Rate& sum, const Rate& one) {
        sum.events_per_second += one.events_per_second / kRounds;
        sum.wire_percent += one.wire_percent / kRounds;
    }

    Rate publish(const std::vector<AuditSample>& samples, int threads, double seconds) {
        const AppHome home;
        Publisher publisher(home.options(server_.url()));
        const auto work = [&](int thread, const std::atomic<bool>& stopping) {
            for (std::size_t i = static_cast<std::size_t>(thread) * 1'000; !stopping; ++i) {
                const events::Audit event = samples[i % samples.size()].event();
                // Refused: the sender is behind, which is what is measured.
                while (publisher.emit(event) == EmitResult::full && !stopping) {
                    std::this_thread::sleep_for(100us);
                }
            }
        };
        Rate rate;
        rate.events_per_second =
            rate_of(threads, seconds, work, [&] { return publisher.stats().audit.acked; });
        const ClassStats stats = publisher.stats().audit;
        rate.wire_percent =
            100 * static_cast<double>(stats.wire_bytes) / static_cast<double>(stats.json_bytes);
        publisher.close(10s);
        renew_stream(server_, stream_name(StreamKind::audit, kRegion));
        return rate;
    }

    double publish_raw(const std::vector<AuditSample>& samples) {
        RawNats raw(server_.url(), kRawPendingMax);
        const auto work = [&](int, const std::atomic<bool>& stopping) {
            for (std::size_t i = 0; !stopping; ++i) {
                raw.publish(kRawSubject, samples[i % samples.size()].json);
            }
        };
        const double rate = rate_of(1, turn_, work, [&] { return raw.acked(); });
        raw.complete(10'000);
        renew_stream(server_, kRawStream);
        return rate;
    }

    double turn_;
    Report& report_;
    testing::NatsServer server_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        PublishBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_publish: %s\n", error.what());
        return 1;
    }
}
