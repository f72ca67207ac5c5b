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

inline double seconds(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace homeward::consumer
