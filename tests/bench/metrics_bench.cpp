// What counting costs the thread that counts.
//
// Workload: one series per instrument, called without a pause from 1 and 8 threads, with a running
// publisher whose server is nowhere and which reports every 100 ms. Counter::add(1);
// Histogram::record() of log-normal values that have settled at their scale. Single calls between
// two reads of the counter give the quantiles; runs of 64 calls give the time per call, since one
// call is shorter than the counter's step. Beside add(), in turns: one atomic<double> for all
// threads, raised by compare-and-swap, which is how prometheus-cpp counts.

#include <atomic>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <homeward/metrics.hpp>

#include "tests/bench/support/command_line.hpp"
#include "tests/bench/support/latency.hpp"
#include "tests/bench/support/report.hpp"

namespace {

using namespace homeward;
using namespace homeward::bench;
using namespace std::chrono_literals;

constexpr double kSecondsDefault = 5;
constexpr int kRounds = 3;
constexpr int kThreadCounts[] = {1, 8};
constexpr int kCallsPerRun = 64;
constexpr double kAddP50Ns[] = {5, 10};  // by thread count
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
    std::atomic<double> shared{0};
    const std::vector<double> values = settled_values();
    const auto add = [counter](std::size_t) mutable { counter.add(1); };
    const auto record = [histogram, &values](std::size_t number) mutable {
        histogram.record(values[number % kValues]);
    };
    const auto swap = [&shared](std::size_t) {
        double now = shared.load(std::memory_order_relaxed);
        while (!shared.compare_exchange_weak(now, now + 1)) {
        }
    };
    const double seconds = options.seconds / kRounds;
    for (std::size_t i = 0; i < std::size(kThreadCounts); ++i) {
        const int threads = kThreadCounts[i];
        report.begin(with_threads("counting", threads));
        Times added, recorded, swapped;
        for (int round = 0; round < kRounds; ++round) {
            added.merge(time_calls(threads, seconds, scale, add));
            swapped.merge(time_calls(threads, seconds, scale, swap));
            recorded.merge(time_calls(threads, seconds, scale, record));
        }
        const double add_ns = ns_per_call(added, scale);
        const double swap_ns = ns_per_call(swapped, scale);
        report.add({with_threads("add() p50", threads), add_ns, "ns",
                    "one atomic<double>: " + short_duration(swap_ns), swap_ns / add_ns,
                    value_at_most(kAddP50Ns[i])});
        report.add(
            {with_threads("add() p99.9", threads), scale.quantile_ns(added.single, 0.999), "ns",
             "one atomic<double>: " + short_duration(scale.quantile_ns(swapped.single, 0.999)),
             std::nan(""), threads == 1 ? value_at_most(kAddTailNs) : Budget{}});
        report.add({with_threads("record() p50", threads), ns_per_call(recorded, scale), "ns"});
        report.add({with_threads("record() p99.9", threads),
                    scale.quantile_ns(recorded.single, 0.999), "ns"});
    }
}

}  // namespace

int main(int argc, char** argv) {
    const BenchOptions options = parse_command_line(argc, argv, kSecondsDefault);
    try {
        Report report(options.json_lines);
        run(options, report);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_metrics: %s\n", error.what());
        return 1;
    }
}
