#pragma once

#include <chrono>
#include <cstdint>

namespace homeward::consumer {

/// Microseconds since 1970-01-01 UTC.
inline std::int64_t system_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// The UTC day, counted from 1970-01-01, of such a time.
constexpr std::int64_t day_of(std::int64_t time_us) {
    constexpr std::int64_t kDayUs = 86'400'000'000;
    return time_us >= 0 ? time_us / kDayUs : (time_us - kDayUs + 1) / kDayUs;
}

inline double seconds(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace homeward::consumer
