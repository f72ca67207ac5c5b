// What counting costs the thread that counts, and the leader.
//
// Workload: one series per instrument, called without a pause from 1, 4 and 8 threads, with a
// running publisher whose server is nowhere and which reports every 100 ms. Counter::add(1);
// Histogram::record() of log-normal values that have settled at their scale. Single calls between
// two reads of the counter give the quantiles; runs of 64 calls give the time per call, since one
// call is shorter than the counter's step. Beside them, in turns: a counter and a histogram of
// prometheus-cpp, with the 11 bounds that Prometheus' client libraries have by default. Then a
// million measurements a second through a consumer into the leader, beside a row each
// (metric_points_cost.cpp).

#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <homeward/metrics.hpp>

#include "tests/bench/metric_points_cost.hpp"
#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/latency.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using namespace std::chrono_literals;

constexpr double kSecondsDefault = 5;
constexpr int kRounds = 3;
constexpr int kThreadCounts[] = {1, 4, 8};
constexpr int kCallsPerRun = 64;
constexpr double kAddP50Ns[] = {5, 10, 10};  // by thread count
constexpr int kComparedThreads = 4;
constexpr double kFasterMin = 3;
constexpr double kAddTailNs = 100;
constexpr std::size_t kValues = 4096;

PublisherOptions options_without_server() {
    PublisherOptions options;
    options.region = "ams";
    options.app = "bench";
    options.nats_urls = {"nats://127.0.0.1:1"};
    options.on_log = [](std::string_view) {};
    return options;
}

std::vector<double> settled_values() {
    std::mt19937_64 random(20261130);
    std::lognormal_distribution<double> seconds(-5, 1);
    std::vector<double> values;
    for (std::size_t i = 0; i < kValues; ++i) values.push_back(seconds(random));
    return values;
}

struct Times {
    LatencyHistogram single;
    LatencyHistogram runs;
    void merge(const Times& other) {
        single.merge(other.single);
        runs.merge(other.runs);
    }
};

/// Calls from so many threads at once for so long; each `call` is given a number that grows.
template <typename Call>
Times time_calls(int threads, double seconds, const TickScale& scale, const Call& prototype) {
    std::vector<Times> times(static_cast<std::size_t>(threads));
    std::vector<std::thread> running;
    for (Times& own : times) {
        running.emplace_back([&, seconds] {
            Call call = prototype;
            std::size_t number = 0;
            for (int i = 0; i < 1000; ++i) call(number++);  // its cells
            const std::uint64_t end =
                ticks_now() + static_cast<std::uint64_t>(seconds * 1e9 / scale.ns_per_tick);
            while (ticks_now() < end) {
                std::uint64_t before = ticks_before();
                call(number++);
                own.single.add(ticks_after() - before);
                before = ticks_before();
                for (int i = 0; i < kCallsPerRun; ++i) call(number++);
                own.runs.add(ticks_after() - before);
            }
        });
    }
    for (std::thread& thread : running) thread.join();
    Times all;
    for (const Times& own : times) all.merge(own);
    return all;
}

double ns_per_call(const Times& times, const TickScale& scale) {
    return scale.quantile_ns(times.runs, 0.5) / kCallsPerRun;
}

std::string with_threads(const std::string& name, int threads) {
    return name + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

void run(const BenchOptions& options, Report& report) {
    const TickScale scale;
    Publisher publisher(options_without_server());
    Meter meter(publisher, {.interval = 100ms});
    Counter counter = meter.counter("requests");
    Histogram histogram = meter.histogram("seconds");
    prometheus::Counter their_counter;
    prometheus::Histogram their_histogram({.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10});
    const std::vector<double> values = settled_values();
    const auto add = [counter](std::size_t) mutable { counter.add(1); };
    const auto record = [histogram, &values](std::size_t number) mutable {
        histogram.record(values[number % kValues]);
    };
    const auto increment = [&](std::size_t) { their_counter.Increment(); };
    const auto observe = [&](std::size_t number) {
        their_histogram.Observe(values[number % kValues]);
    };
    const double seconds = options.seconds / kRounds;
    for (std::size_t i = 0; i < std::size(kThreadCounts); ++i) {
        const int threads = kThreadCounts[i];
        report.begin(with_threads("counting", threads));
        Times added, recorded, incremented, observed;
        for (int round = 0; round < kRounds; ++round) {
            added.merge(time_calls(threads, seconds, scale, add));
            incremented.merge(time_calls(threads, seconds, scale, increment));
            recorded.merge(time_calls(threads, seconds, scale, record));
            observed.merge(time_calls(threads, seconds, scale, observe));
        }
        const bool is_compared = threads == kComparedThreads;
        const auto compare = [&](const std::string& call, const Times& ours, const Times& theirs,
                                 double p50_max) {
            const double own = ns_per_call(ours, scale);
            const double other = ns_per_call(theirs, scale);
            report.add({with_threads(call + " p50", threads), own, "ns", "", std::nan(""),
                        p50_max > 0 ? value_at_most(p50_max) : Budget{}});
            report.add({with_threads(call + ", is faster", threads), own, "ns",
                        "prometheus-cpp: " + short_duration(other), other / own,
                        is_compared ? ratio_at_least(kFasterMin) : Budget{}});
            const bool is_bounded = p50_max > 0 && threads == 1;
            report.add(
                {with_threads(call + " p99.9", threads), scale.quantile_ns(ours.single, 0.999),
                 "ns", "prometheus-cpp: " + short_duration(scale.quantile_ns(theirs.single, 0.999)),
                 std::nan(""), is_bounded ? value_at_most(kAddTailNs) : Budget{}});
        };
        compare("add()", added, incremented, kAddP50Ns[i]);
        compare("record()", recorded, observed, 0);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        compare_leader_cost(options.seconds, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_metrics: %s\n", error.what());
        return 1;
    }
}
