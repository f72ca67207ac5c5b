#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace homeward::consumer {

// Numbers as they stand in JSON, of any size. The parser that finds the structure of an event has
// 64 bits for each, but a column of type numeric or jsonb holds more.

/// Whether a value's text is a number rather than a word, a string or a container.
inline bool is_number_text(std::string_view text) {
    return !text.empty() && (text.front() == '-' || (text.front() >= '0' && text.front() <= '9'));
}
/// Whether it is a number as JSON writes one (RFC 8259, section 6).
bool is_json_number(std::string_view text);
/// Whether it has no fraction and no exponent.
bool is_whole_number(std::string_view text);

/// The nearest double or float, rounded once. Nothing for what is beyond its range or, not being
/// zero, would become zero.
std::optional<double> nearest_double(std::string_view number);
std::optional<float> nearest_float(std::string_view number);

/// Numbers beyond 64 bits and beyond double become null in a copy of the same length, so that a
/// parser with no room for them finds the rest. False: there is none.
bool hide_large_numbers(std::string_view json, std::string& copy);

/// The first number of a JSON text that jsonb cannot hold; empty: it holds all. The text is valid.
std::string_view find_unstorable_number(std::string_view json);

}  // namespace homeward::consumer
