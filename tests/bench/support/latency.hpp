#pragma once

#include <array>
#include <cstdint>
#include <ctime>

namespace homeward::bench {

// A pair of reads around one call. The fences keep the call's instructions between them; what they
// cost is measured with nothing between, and subtracted.
#if defined(__x86_64__)
inline std::uint64_t ticks_before() {
    __builtin_ia32_lfence();
    const std::uint64_t ticks = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return ticks;
}
inline std::uint64_t ticks_after() {
    unsigned int cpu = 0;
    const std::uint64_t ticks = __builtin_ia32_rdtscp(&cpu);
    __builtin_ia32_lfence();
    return ticks;
}
inline std::uint64_t ticks_now() {
    return __builtin_ia32_rdtsc();
}
inline void relax() {
    __builtin_ia32_pause();
}
#else
inline std::uint64_t ticks_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}
inline std::uint64_t ticks_before() {
    return ticks_now();
}
inline std::uint64_t ticks_after() {
    return ticks_now();
}
inline void relax() {}
#endif

/// Durations in ticks: exact below 1024, to 1/64 above. Small, so that counting between calls does
/// not take the cache from what is measured. One thread; merge afterwards.
class LatencyHistogram {
  public:
    void add(std::uint64_t ticks);
    void merge(const LatencyHistogram& other);
    std::uint64_t count() const { return count_; }
    /// The duration that the share `q` of all does not exceed. Some processors' counters advance
    /// in steps of many ticks; each duration then stands for all within half a step of it, which
    /// is as exact as the counting of many can make it.
    double quantile(double q, std::uint64_t step_ticks) const;
    /// How far apart the durations are that came often: the counter's step; 1 when it has none.
    std::uint64_t step() const;
    std::uint64_t max() const { return max_; }

  private:
    static constexpr std::size_t kExact = 1024;
    static constexpr std::size_t kSteps = 64;    // per power of two
    static constexpr std::size_t kOctaves = 30;  // beyond the exact ones
    static std::size_t index_of(std::uint64_t ticks);
    double count_below(double ticks, double step_ticks) const;
    static std::uint64_t upper_end(std::size_t index);

    std::array<std::uint32_t, kExact + kSteps * kOctaves> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

/// What a tick is on this machine. Made once, takes 100 ms.
struct TickScale {
    TickScale();
    double ns_per_tick;
    std::uint64_t step_ticks;  ///< by which the counter advances
    double cost_ns;            ///< of ticks_before() and ticks_after() with nothing between: median
    /// Of the calls, without the timer's cost.
    double quantile_ns(const LatencyHistogram& calls, double q) const;
    double ns(std::uint64_t ticks) const { return static_cast<double>(ticks) * ns_per_tick; }
};

}  // namespace homeward::bench
