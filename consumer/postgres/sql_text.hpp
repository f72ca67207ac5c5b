#pragma once

#include <string>

namespace homeward::consumer {

/// Text as a literal of SQL, for a session with standard_conforming_strings, as ours are.
inline std::string sql_literal(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted.append(c == '\'' ? "''" : std::string(1, c));
    return quoted + "'";
}

}  // namespace homeward::consumer
