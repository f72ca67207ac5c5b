#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace homeward::consumer {

/// Text as a literal of SQL, for a session with standard_conforming_strings, as ours are.
inline std::string sql_literal(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted.append(c == '\'' ? "''" : std::string(1, c));
    return quoted + "'";
}

/// '{1,2,3}', '{t,f}'
std::string array_text(const std::vector<std::int64_t>& values);
std::string array_text(const std::vector<bool>& values);
/// Each element quoted.
std::string array_text(const std::vector<std::string>& values);
/// Bytes as a bytea is written: \x and hex digits.
std::string bytea_text(std::string_view bytes);
/// What a bytea's text stands for; empty when it is not one.
std::string bytes_of_bytea(std::string_view text);

}  // namespace homeward::consumer
