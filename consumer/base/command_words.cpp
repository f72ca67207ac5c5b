#include "consumer/base/command_words.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "consumer/base/plain_text.hpp"

namespace homeward::consumer {

using nlohmann::json;

const std::string& WordReader::value() {
    if (at_ >= words_.size()) throw UsageError(word_ + " needs a value");
    return words_[at_++];
}

std::int64_t number_of(const std::string& text, const std::string& what) {
    std::int64_t value = 0;
    const auto end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc{} || result.ptr != end || value < 0) {
        throw UsageError(what + " is \"" + text + "\"; expected a whole number");
    }
    return value;
}

std::vector<std::string> states_of(const std::string& text, const std::vector<std::string>& known) {
    if (text == "all") return {};
    std::string all;
    for (const std::string& state : known) {
        if (text == state) return {text};
        all += state + ", ";
    }
    throw UsageError("--state is \"" + text + "\"; expected " + all + "or all");
}

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
