#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward {

/// Microseconds since 1970-01-01 UTC from RFC 3339: "2026-11-24T10:00:00.5Z", "…+01:00". More than
/// six digits of a second are rounded as PostgreSQL's timestamptz rounds them.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// "2026-11-24T10:00:00Z" to the second, for an operator; years beyond 9999 have more digits.
std::string to_rfc3339(std::int64_t time_us);

/// A unit that a whole number of microseconds was probably meant in, if another.
enum class TimeUnit : std::uint8_t { microseconds, seconds, milliseconds, nanoseconds };
/// As microseconds, times of 2001 to 2286 in seconds or milliseconds lie in the first four months
/// of 1970, and in nanoseconds beyond the year 33000; in microseconds themselves they lie
/// elsewhere.
constexpr TimeUnit probable_unit(std::int64_t time_us) {
    constexpr std::int64_t kBegin = 1'000'000'000;  // 2001-09-09, in seconds
    const auto is_meant = [time_us](std::int64_t units) {
        return time_us >= kBegin * units && time_us / 10 < kBegin * units;
    };
    if (is_meant(1)) return TimeUnit::seconds;
    if (is_meant(1'000)) return TimeUnit::milliseconds;
    if (is_meant(1'000'000'000)) return TimeUnit::nanoseconds;
    return TimeUnit::microseconds;
}

/// "1795935675000 read as microseconds is 1970-01-21T18:52:15Z; it looks like milliseconds: send
/// microseconds since 1970-01-01 UTC, or RFC 3339 text". Of a time that is of another unit.
std::string explain_time_unit(std::int64_t time_us);

}  // namespace homeward
