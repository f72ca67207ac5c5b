#include "consumer/base/command_output.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/plain_text.hpp"

namespace homeward::consumer {

using nlohmann::json;

// What payloads and reasons hold may be anything; JSON and terminals take only valid text.
std::string dumped(const json& value) {
    return value.dump(2, ' ', false, json::error_handler_t::replace);
}

void print_fields(const json& object) {
    for (const auto& [key, value] : object.items()) {
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        std::printf("%-14s %s\n", key.c_str(), printable(text).c_str());
    }
}

void print_result(bool as_json, const json& result) {
    if (as_json) {
        std::printf("%s\n", result.dump().c_str());
        return;
    }
    std::string line;
    for (const auto& [key, value] : result.items()) {
        line += (line.empty() ? "" : " ") + key + "=" + value.dump();
    }
    std::printf("%s\n", line.c_str());
}

}  // namespace homeward::consumer
