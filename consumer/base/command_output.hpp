#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace homeward::consumer {

/// How commands print what they found.

/// As text of several lines; bytes that are no text are replaced.
std::string dumped(const nlohmann::json& value);
/// Each key with its value on a line.
void print_fields(const nlohmann::json& object);
/// key=value, all on one line.
void print_result(bool as_json, const nlohmann::json& result);

}  // namespace homeward::consumer
