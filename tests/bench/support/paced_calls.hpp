#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "tests/bench/support/latency.hpp"
#include "tests/bench/support/workload.hpp"

namespace homeward::bench {

struct Pace {
    int threads = 1;
    double seconds = 1;
    double events_per_second = 0;  ///< of all threads together
};

struct CallTimes {
    LatencyHistogram ticks;        ///< per call, the timer's cost included
    LatencyHistogram undisturbed;  ///< of those, the ones well after the thread lost its processor
    std::uint64_t refused = 0;     ///< calls that did not take the event
    void merge(const CallTimes& other) {
        ticks.merge(other.ticks);
        undisturbed.merge(other.undisturbed);
        refused += other.refused;
    }
};

/// A thread that spins and sees the clock jump that far had lost its processor to somebody else,
/// who left other caches; so many calls later it has its own again.
constexpr double kSwitchNs = 5'000;
constexpr int kCallsToSettle = 8;

/// Calls `call(sample, fresh_event)` from one thread at an even pace. Between calls the thread
/// spins, so that the processor is busy, and never makes up for lost time: a late call is not
/// followed by a burst.
template <typename Call>
CallTimes paced_calls(const Pace& pace, const TickScale& scale,
                      const std::vector<AuditSample>& samples, std::size_t first, Call& call) {
    const auto interval =
        static_cast<std::uint64_t>(1e9 * pace.threads / pace.events_per_second / scale.ns_per_tick);
    const std::uint64_t end =
        ticks_now() + static_cast<std::uint64_t>(pace.seconds * 1e9 / scale.ns_per_tick);
    const auto jump = static_cast<std::uint64_t>(kSwitchNs / scale.ns_per_tick);
    CallTimes times;
    FreshEvent fresh;
    int settled = 0;  // calls since the last jump
    std::uint64_t now = ticks_now();
    for (std::size_t i = first; now < end; ++i) {
        const AuditSample& sample = samples[i % samples.size()];
        const events::Audit& event = fresh.load(sample);
        const std::uint64_t before = ticks_before();
        const bool taken = call(sample, event);
        const std::uint64_t after = ticks_after();
        times.ticks.add(after - before);
        if (settled++ >= kCallsToSettle) times.undisturbed.add(after - before);
        times.refused += taken ? 0 : 1;
        const std::uint64_t due = now + interval;
        std::uint64_t seen = before;
        do {
            now = ticks_now();
            if (now - seen > jump) settled = 0;
            seen = now;
            relax();
        } while (now < due);
    }
    return times;
}

/// The same from several threads at once; each has its own stretch of the samples.
template <typename Call>
CallTimes paced_threads(const Pace& pace, const TickScale& scale,
                        const std::vector<AuditSample>& samples, Call call) {
    std::vector<CallTimes> times(static_cast<std::size_t>(pace.threads));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < times.size(); ++i) {
        threads.emplace_back([&, i] {
            Call own = call;
            times[i] = paced_calls(pace, scale, samples, i * 997, own);
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 1; i < times.size(); ++i) times[0].merge(times[i]);
    return times[0];
}

}  // namespace homeward::bench
