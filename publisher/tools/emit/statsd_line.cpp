#include "publisher/tools/emit/statsd_line.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

namespace homeward {
namespace {

/// A value of a timer or histogram is recorded 1 / rate times.
constexpr double kHistogramRateMin = 0.001;
/// Far below where a sum of counts would wrap around.
constexpr double kCountMax = 4'611'686'018'427'387'904.0;  // 2^62

constexpr std::string_view kFaultNames[kStatsdFaults] = {
    "none", "format",   "type",     "name",       "value",   "rate",
    "tags", "negative", "conflict", "series_max", "datagram"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

StatsdLine refused(StatsdFault fault, std::string_view why) {
    StatsdLine line;
    line.fault = fault;
    line.why = why;
    return line;
}

/// Takes the text up to `end` off `rest`, and the end.
std::string_view take_until(std::string_view& rest, char end) {
    const std::size_t at = std::min(rest.find(end), rest.size());
    const std::string_view piece = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return piece;
}

std::optional<double> read_number(std::string_view text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || !std::isfinite(number)) return std::nullopt;
    return number;
}

/// False: it is none that is known here.
bool read_type(std::string_view text, StatsdType& type) {
    if (text == "c") {
        type = StatsdType::counter;
    } else if (text == "g") {
        type = StatsdType::gauge;
    } else if (text == "ms") {
        type = StatsdType::timer;
    } else if (text == "h" || text == "d") {
        type = StatsdType::histogram;
    } else {
        return false;
    }
    return true;
}

/// "c:83c0a99c0a54", "e:it-false", "card:low", "T1656581400".
bool is_ignored(std::string_view field) {
    const std::size_t letters = static_cast<std::size_t>(
        std::find_if_not(field.begin(), field.end(), is_letter) - field.begin());
    if (letters > 0 && letters < field.size() && field[letters] == ':') return true;
    return field.size() > 1 && field[0] == 'T' &&
           std::all_of(field.begin() + 1, field.end(), is_digit);
}

void read_field(std::string_view field, StatsdLine& line) {
    if (!field.empty() && field[0] == '@') {
        const std::optional<double> rate = read_number(field.substr(1));
        if (rate && *rate > 0 && *rate <= 1) {
            line.rate = *rate;
            return;
        }
        line.fault = StatsdFault::rate;
        line.why = "a sample rate must be above 0 and at most 1";
    } else if (!field.empty() && field[0] == '#') {
        line.tags = field.substr(1);
        std::string_view rest = line.tags;
        for (StatsdTag tag; next_tag(rest, tag);) {
            if (!tag.key.empty()) continue;
            line.fault = StatsdFault::tags;
            line.why = "a tag has no name; expected |#name:value,name:value";
        }
    } else if (!is_ignored(field)) {
        line.fault = StatsdFault::format;
        line.why = "unknown field; expected |@RATE or |#TAGS";
    }
}

void check_values(StatsdLine& line) {
    std::string_view rest = line.values;
    for (std::string_view text; line.fault == StatsdFault::none && next_value(rest, text);) {
        const std::optional<StatsdValue> value = read_statsd_value(text);
        const bool is_counter = line.type == StatsdType::counter;
        if (!value) {
            line.fault = StatsdFault::value;
            line.why = "a value is no finite number";
        } else if (is_counter && value->number < 0) {
            line.fault = StatsdFault::negative;
            line.why = "a counter cannot go down; use a gauge with a sign (|g)";
        } else if (is_counter && value->number / line.rate > kCountMax) {
            line.fault = StatsdFault::value;
            line.why = "a count, divided by its sample rate, is above 2^62";
        }
    }
}

}  // namespace

std::string_view name_of(StatsdFault fault) {
    return kFaultNames[static_cast<std::size_t>(fault)];
}

std::optional<StatsdValue> read_statsd_value(std::string_view text) {
    StatsdValue value;
    value.is_signed = !text.empty() && (text[0] == '+' || text[0] == '-');
    if (value.is_signed && text[0] == '+') {
        text.remove_prefix(1);
        if (!text.empty() && text[0] == '-') return std::nullopt;
    }
    const std::optional<double> number = read_number(text);
    if (!number) return std::nullopt;
    value.number = *number;
    std::int64_t whole = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, whole);
    if (error == std::errc() && stop == end) value.whole = whole;
    return value;
}

bool next_value(std::string_view& rest, std::string_view& value) {
    if (rest.data() == nullptr) return false;
    const std::size_t colon = rest.find(':');
    value = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    return true;
}

bool next_tag(std::string_view& rest, StatsdTag& tag) {
    while (!rest.empty()) {
        const std::string_view text = take_until(rest, ',');
        if (text.empty()) continue;
        const std::size_t colon = text.find(':');
        tag.key = text.substr(0, colon);
        tag.value = colon == std::string_view::npos ? "true" : text.substr(colon + 1);
        return true;
    }
    return false;
}

StatsdLine read_statsd_line(std::string_view text) {
    if (text.substr(0, 3) == "_e{" || text.substr(0, 4) == "_sc|") {
        return refused(StatsdFault::type, "DogStatsD's events and service checks are no metrics");
    }
    StatsdLine line;
    const std::size_t bar = text.find('|');
    const std::size_t colon = text.find(':');
    if (bar == std::string_view::npos || colon == std::string_view::npos || colon > bar) {
        return refused(StatsdFault::format, "expected NAME:VALUE|TYPE");
    }
    line.name = text.substr(0, colon);
    line.values = text.substr(colon + 1, bar - colon - 1);
    if (line.name.empty()) return refused(StatsdFault::name, "a line has no name");
    if (line.name.find_first_of(",;#") != std::string_view::npos) {
        return refused(StatsdFault::name,
                       "tags inside of a name are not read; expected |#name:value after the type");
    }
    std::string_view rest = text.substr(bar + 1);
    const std::string_view type = take_until(rest, '|');
    if (type == "s") {
        return refused(StatsdFault::type,
                       "sets are not supported; emit an event for each value and count the "
                       "distinct ones in SQL");
    }
    if (!read_type(type, line.type)) {
        return refused(StatsdFault::type, "unknown type; expected c, g, ms, h or d");
    }
    while (line.fault == StatsdFault::none && !rest.empty()) {
        read_field(take_until(rest, '|'), line);
    }
    const bool is_repeated = line.type == StatsdType::timer || line.type == StatsdType::histogram;
    if (line.fault == StatsdFault::none && is_repeated && line.rate < kHistogramRateMin) {
        line.fault = StatsdFault::rate;
        line.why = "timers and histograms need a sample rate of at least 0.001";
    }
    check_values(line);
    return line;
}

}  // namespace homeward
