#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>

namespace homeward::detail {

#if defined(__x86_64__)
/// A builtin, because <x86intrin.h> adds most of a second to every file that includes the
/// publisher.
inline std::uint64_t time_stamp_counter() noexcept {
    return __builtin_ia32_rdtsc();
}
#endif

/// Wall clock in microseconds, from the processor's time stamp counter where that runs evenly
/// (clock_gettime costs 11 ns more). One thread calls adjust() a few times a second; any may ask.
/// What now_us() reads is in one cache line.
class alignas(64) Clock {
  public:
    Clock();
    /// In a forked child: goes on as `parents` does, whose adjust() nobody calls here. Measuring
    /// anew would take milliseconds.
    explicit Clock(const Clock& parents);
    Clock& operator=(const Clock&) = delete;

    /// Microseconds since 1970-01-01 UTC.
    std::int64_t now_us() const noexcept {
#if defined(__x86_64__)
        const std::uint64_t now = time_stamp_counter();
        const std::uint32_t before = version_.load(std::memory_order_acquire);
        // Each acquires, so that the version is read again after them; a fence would do too,
        // but ThreadSanitizer does not know fences.
        const std::uint64_t base_ticks = base_ticks_.load(std::memory_order_acquire);
        const std::int64_t base_us = base_us_.load(std::memory_order_acquire);
        const std::uint64_t rate = us_per_tick_.load(std::memory_order_acquire);
        const std::uint64_t ticks = now - base_ticks;
        if (version_.load(std::memory_order_relaxed) == before && (before & 1u) == 0 &&
            ticks < kTicksMax) [[likely]] {
            return base_us + static_cast<std::int64_t>((ticks * rate) >> kRateShift);
        }
#endif
        return system_us();
    }

    [[gnu::cold, gnu::noinline]] static std::int64_t system_us() noexcept {
        timespec now{};
        clock_gettime(CLOCK_REALTIME, &now);
        return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
    }

    /// Follows the system's clock, steps included.
    void adjust() noexcept;

  private:
    /// us_per_tick_ is a fixed-point number with this many fractional bits.
    static constexpr unsigned kRateShift = 32;
    /// Of a counter with 64 MHz.
    static constexpr std::uint64_t kRateMax = std::uint64_t{1} << (kRateShift - 6);
    /// Since adjust(): their product does not overflow. Over a minute of any counter.
    static constexpr std::uint64_t kTicksMax = UINT64_MAX / kRateMax;

    void measure();

    std::atomic<std::uint32_t> version_{1};  // odd: not usable, or adjust() writes
    bool is_even_ = false;                   // the counter
    std::atomic<std::uint64_t> base_ticks_{0};
    std::atomic<std::int64_t> base_us_{0};
    std::atomic<std::uint64_t> us_per_tick_{0};
    std::uint64_t first_ticks_ = 0;
    std::int64_t first_us_ = 0;
};

}  // namespace homeward::detail
