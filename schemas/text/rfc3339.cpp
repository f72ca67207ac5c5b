#include "schemas/text/rfc3339.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace homeward {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;

/// Takes `digits` decimal digits off the front.
bool take_digits(std::string_view& text, std::size_t digits, int& value) {
    if (text.size() < digits) return false;
    value = 0;
    for (char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return false;
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return true;
}

bool take_char(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

/// A second and more only where rounding reaches it. PostgreSQL rounds the product of a double.
bool take_fraction(std::string_view& text, std::int64_t& us) {
    us = 0;
    if (text.empty() || text.front() != '.') return true;
    std::size_t digits = 0;
    std::int64_t unit = kSecondUs / 10;
    while (digits + 1 < text.size() && text[digits + 1] >= '0' && text[digits + 1] <= '9') {
        us += (text[digits + 1] - '0') * unit;
        unit /= 10;
        ++digits;
    }
    constexpr std::size_t kExactDigits = 6;
    if (digits > kExactDigits) {
        double fraction = 0;
        std::from_chars(text.data(), text.data() + 1 + digits, fraction);
        us = std::lrint(fraction * static_cast<double>(kSecondUs));
    }
    text.remove_prefix(1 + digits);
    return digits > 0;
}

bool take_offset(std::string_view& text, int& minutes) {
    minutes = 0;
    if (take_char(text, 'Z') || take_char(text, 'z')) return true;
    const int sign = !text.empty() && text.front() == '-' ? -1 : 1;
    int hour = 0;
    int minute = 0;
    if (!take_char(text, '+') && !take_char(text, '-')) return false;
    if (!take_digits(text, 2, hour) || !take_char(text, ':') || !take_digits(text, 2, minute)) {
        return false;
    }
    minutes = sign * (hour * 60 + minute);
    return hour < 24 && minute < 60;
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offset = 0;
    std::int64_t fraction_us = 0;
    const bool has_form =
        take_digits(text, 4, year) && take_char(text, '-') && take_digits(text, 2, month) &&
        take_char(text, '-') && take_digits(text, 2, day) &&
        (take_char(text, 'T') || take_char(text, 't') || take_char(text, ' ')) &&
        take_digits(text, 2, hour) && take_char(text, ':') && take_digits(text, 2, minute) &&
        take_char(text, ':') && take_digits(text, 2, second) && take_fraction(text, fraction_us) &&
        take_offset(text, offset) && text.empty();
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    // A leap second is written as :60, which PostgreSQL takes without a fraction.
    const bool is_time =
        hour <= 23 && minute <= 59 && (second < 60 || (second == 60 && fraction_us == 0));
    if (!has_form || !date.ok() || !is_time) return std::nullopt;
    const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    const std::int64_t seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    return seconds * kSecondUs + fraction_us;
}

std::string to_rfc3339(std::int64_t time_us) {
    using std::chrono::floor;
    const std::chrono::sys_seconds seconds{
        floor<std::chrono::seconds>(std::chrono::microseconds(time_us))};
    const auto day = floor<std::chrono::days>(seconds);
    const std::chrono::hh_mm_ss time(seconds - day);
    // The calendar of <chrono> ends with the year 32767: 400 years have the same days as the next.
    constexpr std::int64_t kCycleDays = 146'097;
    const std::int64_t cycles =
        floor<std::chrono::days>(day.time_since_epoch()).count() / kCycleDays;
    const std::chrono::year_month_day date{day - std::chrono::days(cycles * kCycleDays)};
    char text[40];
    std::snprintf(text, sizeof text, "%04lld-%02u-%02uT%02d:%02d:%02dZ",
                  static_cast<long long>(static_cast<int>(date.year()) + 400 * cycles),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    return text;
}

std::string explain_time_unit(std::int64_t time_us) {
    const TimeUnit unit = probable_unit(time_us);
    const char* name = unit == TimeUnit::seconds        ? "seconds"
                       : unit == TimeUnit::milliseconds ? "milliseconds"
                                                        : "nanoseconds";
    return std::to_string(time_us) + " read as microseconds is " + to_rfc3339(time_us) +
           "; it looks like " + name + ": send microseconds since 1970-01-01 UTC, or RFC 3339 text";
}

}  // namespace homeward
