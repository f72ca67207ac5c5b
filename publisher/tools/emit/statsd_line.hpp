#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace homeward {

/// What a line measures. DogStatsD's distributions ("d") are histograms ("h").
enum class StatsdType : std::uint8_t { counter, gauge, timer, histogram };

/// Why a line is refused.
enum class StatsdFault : std::uint8_t {
    none,
    format,      ///< not NAME:VALUE|TYPE with optional fields
    type,        ///< sets, events, service checks, and what nobody knows
    name,        ///< empty, too long, or with tags of another dialect inside
    value,       ///< no finite number, or too large
    rate,        ///< sample rate
    tags,        ///< tag without a name, or beyond what attributes may be
    negative,    ///< a counter below zero
    conflict,    ///< the name has another type already
    series_max,  ///< no room for a new name
    datagram,    ///< longer than the buffer
};
inline constexpr std::size_t kStatsdFaults = static_cast<std::size_t>(StatsdFault::datagram) + 1;
/// One word, as it stands in the summary and in the metric's attribute.
std::string_view name_of(StatsdFault fault);

/// One line of StatsD with DogStatsD's extensions; views into its text. What is not refused has
/// only finite values, a sample rate in (0, 1], and tags with names.
///
///     NAME:VALUE[:VALUE…]|TYPE[|@RATE][|#KEY:VALUE,KEY…]
///
/// Fields that begin with letters and a colon, or with T and digits, are ignored: container id,
/// external data, cardinality, timestamp.
struct StatsdLine {
    std::string_view name;
    std::string_view values;  ///< for next_value()
    StatsdType type{};
    double rate = 1;
    std::string_view tags;  ///< for next_tag()
    StatsdFault fault = StatsdFault::none;
    std::string_view why;  ///< for an operator, of a fault
};

/// `text`: without its line end.
StatsdLine read_statsd_line(std::string_view text);

struct StatsdValue {
    double number = 0;
    std::optional<std::int64_t> whole{};  ///< exact, if it is written as a whole number
    bool is_signed = false;               ///< begins with '+' or '-'
};
/// Nothing: it is no finite number.
std::optional<StatsdValue> read_statsd_value(std::string_view text);

/// Takes the first piece off `rest`; false: there is none.
bool next_value(std::string_view& rest, std::string_view& value);

struct StatsdTag {
    std::string_view key;
    std::string_view value;  ///< "true" of a tag without one
};
/// As next_value(); empty tags are omitted.
bool next_tag(std::string_view& rest, StatsdTag& tag);

}  // namespace homeward
