#include <homeward/detail/clock.hpp>

#include <fstream>
#include <string>
#include <thread>

namespace homeward::detail {
namespace {

#if defined(__x86_64__)
/// Whether the counter ticks evenly, whatever the processor's frequency and sleep states do.
bool is_counter_even() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.rfind("flags", 0) != 0) continue;
        return line.find(" constant_tsc") != std::string::npos &&
               line.find(" nonstop_tsc") != std::string::npos;
    }
    return false;
}
#endif

}  // namespace

Clock::Clock() {
    measure();
}

Clock::Clock(const Clock& parents)
    : is_even_(parents.is_even_), first_ticks_(parents.first_ticks_), first_us_(parents.first_us_) {
    const std::uint32_t version = parents.version_.load(std::memory_order_acquire);
    if ((version & 1u) != 0) {  // fork() fell into an adjust()
        measure();
        return;
    }
    base_ticks_.store(parents.base_ticks_.load(), std::memory_order_relaxed);
    base_us_.store(parents.base_us_.load(), std::memory_order_relaxed);
    us_per_tick_.store(parents.us_per_tick_.load(), std::memory_order_relaxed);
    version_.store(version, std::memory_order_release);
}

void Clock::measure() {
#if defined(__x86_64__)
    is_even_ = is_counter_even();
    if (!is_even_) return;
    first_us_ = system_us();
    first_ticks_ = time_stamp_counter();
    // Good to about 0.1 % at first; adjust() measures over ever longer times.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    adjust();
#endif
}

void Clock::adjust() noexcept {
#if defined(__x86_64__)
    if (!is_even_) return;
    const std::int64_t now = system_us();
    const std::uint64_t ticks = time_stamp_counter();
    const std::int64_t elapsed_us = now - first_us_;
    const std::uint64_t elapsed_ticks = ticks - first_ticks_;
    std::uint64_t rate = us_per_tick_.load(std::memory_order_relaxed);
    // A step of the system's clock would spoil the rate: such a measurement is not used.
    if (elapsed_us > 0 && elapsed_ticks > 0) {
        const double measured =
            static_cast<double>(elapsed_us) / static_cast<double>(elapsed_ticks);
        const auto fixed = static_cast<std::uint64_t>(measured * 4294967296.0);
        if (rate == 0 || (fixed > rate - rate / 256 && fixed < rate + rate / 256)) {
            rate = fixed;
        } else {
            first_us_ = now;
            first_ticks_ = ticks;
        }
    }
    const std::uint32_t odd = version_.load(std::memory_order_relaxed) | 1u;
    version_.store(odd, std::memory_order_relaxed);
    // Each releases, so that none is seen before the version is odd.
    base_ticks_.store(ticks, std::memory_order_release);
    base_us_.store(now, std::memory_order_release);
    us_per_tick_.store(rate, std::memory_order_release);
    if (rate == 0 || rate > kRateMax) return;
    version_.store(odd + 1, std::memory_order_release);
#endif
}

}  // namespace homeward::detail
