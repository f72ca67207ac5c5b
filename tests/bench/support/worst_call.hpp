#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <atomic>

#include "tests/bench/support/latency.hpp"
#include "tests/bench/support/workload.hpp"

namespace homeward::bench {

struct WorstCall {
    double worst_us = 0;      ///< of the calls during which the kernel left us the processor
    double preempted_us = 0;  ///< of the others: somebody else ran in the middle of the call
    std::uint64_t calls = 0;
    std::uint64_t refused = 0;
};

/// Calls as fast as one every two microseconds for so long; looks at the thread's count of
/// involuntary switches around every call, since on a busy machine any instruction may take
/// milliseconds. `call_began`: when the call under way began, 0 between calls, for a watcher.
template <typename Call>
WorstCall find_worst_call(double seconds, const TickScale& scale,
                          const std::vector<AuditSample>& samples,
                          std::atomic<std::uint64_t>& call_began, Call call) {
    constexpr double kGapNs = 2'000;
    const auto involuntary = [] {
        rusage usage{};
        ::getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
    };
    const auto gap = static_cast<std::uint64_t>(kGapNs / scale.ns_per_tick);
    const std::uint64_t end =
        ticks_now() + static_cast<std::uint64_t>(seconds * 1e9 / scale.ns_per_tick);
    WorstCall result;
    FreshEvent fresh;
    while (ticks_now() < end) {
        const AuditSample& sample = samples[result.calls % samples.size()];
        const events::Audit& event = fresh.load(sample);
        const long switches = involuntary();
        const std::uint64_t before = ticks_before();
        call_began.store(before, std::memory_order_relaxed);
        const bool taken = call(sample, event);
        const std::uint64_t after = ticks_after();
        call_began.store(0, std::memory_order_relaxed);
        double& worst = involuntary() == switches ? result.worst_us : result.preempted_us;
        // The thread's first call is not promised anything: it makes the lane.
        if (result.calls > 0) worst = std::max(worst, scale.ns(after - before) / 1000);
        ++result.calls;
        result.refused += taken ? 0 : 1;
        while (ticks_now() < after + gap) relax();
    }
    return result;
}

}  // namespace homeward::bench
