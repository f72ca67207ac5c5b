#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace homeward::consumer {

/// Text that a text column takes: without NUL, of whole UTF-8 sequences, of bounded size.
std::string tidy_text(std::string_view text, std::size_t bytes_max);
/// Without control characters that would steer a terminal; newlines and tabs stay.
std::string printable(const std::string& text);
/// printable() on one line, of at most `bytes_max` bytes; "…" marks what was cut.
std::string one_line(const std::string& text, std::size_t bytes_max);

}  // namespace homeward::consumer
