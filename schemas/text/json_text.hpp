#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace homeward {

/// Appends `text` as a JSON string, quotes included. Invalid UTF-8 becomes U+FFFD, one for each
/// maximal part of a broken sequence, as the Unicode standard recommends (section 3.9). Returns how
/// many.
std::size_t append_json_string(std::string& out, std::string_view text);

/// How many bytes at the front a JSON string takes as they are: ASCII without quotes, backslashes
/// and control characters.
std::size_t count_plain(std::string_view text);
/// The length of the UTF-8 sequence at the front; 0: there is none. The text is not empty.
std::size_t utf8_length(std::string_view text);

/// Appends JSON text as it is, but for line feeds, which become carriage returns, as an event must
/// stay one line: between tokens JSON allows both, inside a string neither, so what was no JSON
/// does not become some.
void append_json_line(std::string& out, std::string_view json);

bool is_utf8(std::string_view text);
/// Appends text, with U+FFFD for what is not UTF-8, as append_json_string() does. Returns how many.
std::size_t append_utf8(std::string& out, std::string_view text);

/// As append_json_line(), of text that nobody has checked: invalid UTF-8 becomes U+FFFD, as in
/// append_json_string(). Returns how many.
std::size_t append_json_value(std::string& out, std::string_view json);

/// The longest beginning of UTF-8 `text` that has at most `bytes_max` bytes and no half character.
std::string_view whole_characters(std::string_view text, std::size_t bytes_max);

/// What a line can show to a person: the first 64 bytes, as UTF-8 without control characters.
std::string shown_text(std::string_view text);

void append_json_number(std::string& out, std::int64_t value);
/// Shortest text that reads back as the same double, with an exponent where the digits alone would
/// be taken for an integer beyond 64 bits, and -0.0 with its sign. NaN and infinities, which JSON
/// does not have, become the strings "NaN", "Infinity" and "-Infinity", as PostgreSQL spells them.
void append_json_number(std::string& out, double value);

}  // namespace homeward
