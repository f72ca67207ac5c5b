// How long after emit() a row is visible on the leader.
//
// Workload: audit events, all of the line on one machine. First a trickle of 10 events a second,
// and 1,000 a second; then 80% of the most that the line carries without falling behind, which is
// found first. Seen from outside: an observer takes a snapshot of the leader's transactions every
// few milliseconds, and a row counts as visible from the first snapshot that contains its
// transaction; so neither the publisher's nor the consumer's word is taken for it. One machine, one
// clock: no skew.

#include <cstdio>
#include <thread>

#include <homeward/publisher.hpp>

#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/line.hpp"
#include "tests/bench/support/report.hpp"
#include "tests/bench/support/sightings.hpp"
#include "tests/bench/support/workload.hpp"

namespace {

using namespace std::chrono_literals;
using namespace homeward;
using namespace homeward::bench;
using SteadyClock = std::chrono::steady_clock;

constexpr double kSecondsDefault = 15;
constexpr double kTricklePerSecond = 10;
constexpr double kLightPerSecond = 1'000;
constexpr double kLoadShare = 0.8;
constexpr double kTrickleMaxMs = 250;
constexpr double kLightP50MaxMs = 15;
constexpr double kLightMaxMs = 60;
constexpr double kLoadMaxMs = 1'000;
/// The search for the most that the line carries: between these, in so many halvings.
constexpr double kSearchMin = 50'000;
constexpr double kSearchMax = 800'000;
constexpr int kSearchSteps = 5;
constexpr double kSearchSeconds = 3;
/// A rate is carried when what is still under way at the end was emitted in this time.
constexpr double kBacklogMaxSeconds = 0.5;

class FreshnessBench {
  public:
    FreshnessBench(const BenchOptions& options, Report& report)
        : seconds_(options.seconds),
          report_(report),
          samples_(audit_samples(16'384)),
          publisher_(home_.options(line_.nats().url())) {
        line_.start_consumer();
        // First frames, first partition, warm caches.
        line_.wait_for_metric("homeward_rows_total", static_cast<double>(emit_at(1'000, 1)));
    }

    void run() {
        report_.begin("freshness: from emit() until the row is visible on the leader");
        show("at 10 events/s", observe(kTricklePerSecond), kTrickleMaxMs);
        show("at 1,000 events/s", observe(kLightPerSecond), kLightMaxMs,
             value_at_most(kLightP50MaxMs));
        const double most = most_carried();
        report_.add({"the most that the line carries", most, "events/s"});
        const Freshness load = observe(kLoadShare * most);
        show("at 80% of that", load, kLoadMaxMs);
        report_.note("publisher, NATS, consumer and leader share the processors; sightings are " +
                     short_duration(load.interval_ms * 1e6) + " apart");
        publisher_.close(10s);
        line_.stop_consumer();
    }

  private:
    void show(const std::string& when, const Freshness& freshness, double max_ms,
              const Budget& p50 = {}) {
        report_.add({"freshness p50 " + when, freshness.p50_ms, "ms", "", std::nan(""), p50});
        report_.add({"freshness p99 " + when, freshness.p99_ms, "ms", "", std::nan(""),
                     value_at_most(max_ms)});
        report_.note(std::to_string(freshness.rows) + " rows");
    }

    /// In even steps of at least a millisecond. Returns how many were accepted.
    std::uint64_t emit_at(double events_per_second, double seconds) {
        const auto began = SteadyClock::now();
        const double step = std::max(1 / events_per_second, 0.001);
        std::uint64_t emitted = 0;
        for (double at = 0; at < seconds; at += step) {
            std::this_thread::sleep_until(began + std::chrono::duration<double>(at));
            const auto due = static_cast<std::uint64_t>((at + step) * events_per_second);
            for (; emitted < due; ++emitted) {
                const auto event = samples_[emitted % samples_.size()].event();
                while (publisher_.emit(event) == EmitResult::full) std::this_thread::sleep_for(1ms);
            }
        }
        return emitted;
    }

    double rows() const { return line_.metric("homeward_rows_total"); }

    /// Whether the line keeps up with this rate.
    bool is_carried(double events_per_second) {
        const double before = rows();
        const auto began = SteadyClock::now();
        const auto emitted = static_cast<double>(emit_at(events_per_second, kSearchSeconds));
        const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
        const double backlog = emitted - (rows() - before);
        line_.wait_for_metric("homeward_rows_total", before + emitted);
        line_.empty_table("audit_events");
        return took < kSearchSeconds * 1.05 && backlog < events_per_second * kBacklogMaxSeconds;
    }

    double most_carried() {
        double low = kSearchMin;
        double high = kSearchMax;
        for (int step = 0; step < kSearchSteps; ++step) {
            const double middle = (low + high) / 2;
            (is_carried(middle) ? low : high) = middle;
        }
        return low;
    }

    Freshness observe(double events_per_second) {
        line_.empty_table("audit_events");
        Sightings sightings(line_.leader());
        const double before = rows();
        const auto emitted = static_cast<double>(emit_at(events_per_second, seconds_));
        line_.wait_for_metric("homeward_rows_total", before + emitted);
        return sightings.judge("audit_events");
    }

    double seconds_;
    Report& report_;
    std::vector<AuditSample> samples_;
    Line line_;
    AppHome home_;
    Publisher publisher_;
};

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        FreshnessBench(options, report).run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_freshness: %s\n", error.what());
        return 1;
    }
}
