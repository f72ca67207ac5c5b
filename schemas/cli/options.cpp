#include "schemas/cli/options.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

namespace homeward::cli {
namespace {

constexpr std::int64_t kSecondsMax = 86'400;

/// As errors name an option: "--limit" of "-n,--limit".
std::string long_name(const std::string& names) {
    return names.substr(std::min(names.find("--"), names.size() - 1));
}

/// "a, b or c"
std::string listed(const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
    }
    return text;
}

}  // namespace

std::int64_t whole_number(const std::string& text, const std::string& what, Range range) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    const bool is_read = result.ec == std::errc{} && result.ptr == end;
    if (is_read && value >= range.min && value <= range.max) return value;
    std::string expected = "expected a whole number";
    if (range.max != Range{}.max) {
        expected += " from " + std::to_string(range.min) + " to " + std::to_string(range.max);
    }
    throw CLI::ValidationError(what, expected + ", not \"" + text + "\"");
}

CLI::Option* add_number(CLI::App& app, const std::string& names, Range range,
                        std::function<void(std::int64_t)> take, const std::string& description) {
    const auto read = [name = long_name(names), range, take = std::move(take)](
                          const std::string& text) { take(whole_number(text, name, range)); };
    return app.add_option_function<std::string>(names, read, description)->type_name("N");
}

CLI::Option* add_seconds(CLI::App& app, const std::string& names, std::chrono::seconds& target,
                         const std::string& description) {
    return add_number(
               app, names, {0, kSecondsMax},
               [&target](std::int64_t number) { target = std::chrono::seconds(number); },
               description)
        ->type_name("SECONDS")
        ->default_str(std::to_string(target.count()));
}

CLI::Option* add_mib(CLI::App& app, const std::string& names, Range range, std::size_t& bytes,
                     const std::string& description) {
    return add_number(
               app, names, range,
               [&bytes](std::int64_t number) { bytes = static_cast<std::size_t>(number) << 20; },
               description)
        ->type_name("MIB")
        ->default_str(std::to_string(bytes >> 20));
}

CLI::Option* add_numbers(CLI::App& app, const std::string& name, std::vector<std::int64_t>& target,
                         const std::string& description) {
    const auto read = [name, &target](const std::vector<std::string>& words) {
        for (const std::string& word : words) target.push_back(whole_number(word, name));
    };
    return app.add_option_function<std::vector<std::string>>(name, read, description);
}

CLI::Option* add_choice(CLI::App& app, const std::string& names,
                        const std::vector<std::string>& choices,
                        std::function<void(const std::string&)> take,
                        const std::string& description) {
    const auto read = [name = long_name(names), choices,
                       take = std::move(take)](const std::string& text) {
        if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
            throw CLI::ValidationError(name,
                                       "expected " + listed(choices) + ", not \"" + text + "\"");
        }
        take(text);
    };
    std::string placeholder;
    for (const std::string& choice : choices) {
        placeholder += (placeholder.empty() ? "" : "|") + choice;
    }
    return app.add_option_function<std::string>(names, read, description)
        ->type_name(placeholder)
        ->default_str(choices.front());
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) {
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

}  // namespace homeward::cli
