#include "tests/bench/metric_points_cost.hpp"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <homeward/metrics.hpp>

#include "tests/bench/support/app_home.hpp"
#include "tests/bench/support/drain.hpp"
#include "tests/bench/support/leader_cpu.hpp"

namespace homeward::bench {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kMeasurementsPerSecond = 1e6;
constexpr std::uint64_t kBurst = 1'000;
constexpr std::size_t kSeriesPerKind = 250;
constexpr double kRowsPerSecond = 100'000;
constexpr double kShareMax = 1.0 / 500;

/// Half of them counters, half histograms.
class Instruments {
  public:
    explicit Instruments(Meter& meter) {
        for (std::size_t i = 0; i < kSeriesPerKind; ++i) {
            const std::string route = "/orders/" + std::to_string(i);
            counters_.push_back(meter.counter("requests", {{"route", route}}));
            histograms_.push_back(meter.histogram("seconds", {{"route", route}}));
        }
    }
    void measure(std::uint64_t number) {
        const std::size_t series = number / 2 % kSeriesPerKind;
        if (number % 2 == 0) {
            counters_[series].add(1);
        } else {
            histograms_[series].record(0.001 * static_cast<double>(number % 997 + 1));
        }
    }

  private:
    std::vector<Counter> counters_;
    std::vector<Histogram> histograms_;
};

/// Returns how many measurements it made in so many seconds.
std::uint64_t measure_at_pace(Instruments& instruments, double seconds) {
    const auto began = SteadyClock::now();
    const auto wanted = static_cast<std::uint64_t>(seconds * kMeasurementsPerSecond);
    std::uint64_t made = 0;
    while (made < wanted) {
        for (std::uint64_t i = 0; i < kBurst; ++i) instruments.measure(made++);
        std::this_thread::sleep_until(
            began + std::chrono::duration_cast<SteadyClock::duration>(
                        Seconds(static_cast<double>(made) / kMeasurementsPerSecond)));
    }
    return made;
}

struct Points {
    double measurements = 0;
    double rows = 0;
    double leader_cpu_seconds = 0;
};

/// The leader's processor time from the first measurement until all points are in their table.
Points measure_points(Line& line, double seconds) {
    const AppHome home;
    Points points;
    const LeaderCpu cpu(line.leader());
    Publisher publisher(home.options(line.nats().url()));
    {
        Meter meter(publisher);
        Instruments instruments(meter);
        points.measurements = static_cast<double>(measure_at_pace(instruments, seconds));
        if (!publisher.close(120s).done)
            throw std::runtime_error("the stream does not take points");
    }
    points.rows = static_cast<double>(publisher.stats().metric.accepted);
    line.wait_for_metric("homeward_rows_total", points.rows);
    points.leader_cpu_seconds = cpu.seconds();
    const auto found = line.leader().number(
        "SELECT (sum(coalesce(count, 0)) + sum(sum) FILTER (WHERE kind ="
        " 'counter'))::int8 FROM metric_points");
    if (static_cast<double>(found) != points.measurements) {
        throw std::runtime_error("metric_points has " + std::to_string(found) + " of " +
                                 short_number(points.measurements) + " measurements");
    }
    return points;
}

}  // namespace

void compare_leader_cost(double seconds, Report& report) {
    Line line;
    const auto events = static_cast<std::uint64_t>(seconds * kRowsPerSecond);
    fill_metric(line, events);
    const Ingest singly = drain(line, "metric_events", events);

    const double measured_seconds = 5 * seconds;
    line.empty_table("metric_points");
    line.start_consumer();
    line.wait_for_metric("homeward_leader_up", 1);
    double idle_cpu_seconds = 0;
    {
        const LeaderCpu cpu(line.leader());
        std::this_thread::sleep_for(Seconds(measured_seconds));
        idle_cpu_seconds = cpu.seconds();
    }
    const Points points = measure_points(line, measured_seconds);
    line.stop_consumer();

    const double own = (points.leader_cpu_seconds - idle_cpu_seconds) / points.measurements * 1e6;
    report.begin("processor time of the leader per million measurements, 500 series at " +
                 short_number(kMeasurementsPerSecond) + "/s");
    report.add({"leader CPU, share of one row each", own * 1e3, "ms/M",
                "a row each: " + short_number(singly.cpu_per_million() * 1e3) + " ms/M",
                own / singly.cpu_per_million(), ratio_at_most(kShareMax)});
    report.note(short_number(points.measurements) + " measurements became " +
                short_number(points.rows) + " rows; an idle leader and consumer took " +
                short_number(idle_cpu_seconds / measured_seconds * 1e3) +
                " ms/s, which do not count here");
}

}  // namespace homeward::bench
