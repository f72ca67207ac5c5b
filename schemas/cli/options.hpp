#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace homeward::cli {

/// Options by the kind of their value. `names` as CLI11 takes them: "-n,--limit", or "number" for
/// an argument without a name. Each checks its value with an error that says what was expected.

/// `placeholder`: FILE and DIR are completed. Text: std::string, path or optional of them.
template <typename Text>
CLI::Option* add_text(CLI::App& app, const std::string& names, const std::string& placeholder,
                      Text& target, const std::string& description) {
    const auto take = [&target](const std::string& text) { target = text; };
    return app.add_option_function<std::string>(names, take, description)->type_name(placeholder);
}

struct Range {
    std::int64_t min = 0;
    std::int64_t max = INT64_MAX;
};

/// A whole number in decimal. Throws CLI::ValidationError; `what` names it there.
std::int64_t whole_number(const std::string& text, const std::string& what, Range range = {});

CLI::Option* add_number(CLI::App& app, const std::string& names, Range range,
                        std::function<void(std::int64_t)> take, const std::string& description);
/// Shows the target's present value as the default.
template <typename Number>
CLI::Option* add_number(CLI::App& app, const std::string& names, Range range, Number& target,
                        const std::string& description) {
    return add_number(
               app, names, range,
               [&target](std::int64_t number) { target = static_cast<Number>(number); },
               description)
        ->default_str(std::to_string(target));
}
CLI::Option* add_seconds(CLI::App& app, const std::string& names, std::chrono::seconds& target,
                         const std::string& description);
/// In MiB; the target is in bytes.
CLI::Option* add_mib(CLI::App& app, const std::string& names, Range range, std::size_t& bytes,
                     const std::string& description);
/// Any number of them, without a name.
CLI::Option* add_numbers(CLI::App& app, const std::string& name, std::vector<std::int64_t>& target,
                         const std::string& description);
/// One of several words; the first is the default unless default_str() says otherwise.
CLI::Option* add_choice(CLI::App& app, const std::string& names,
                        const std::vector<std::string>& choices,
                        std::function<void(const std::string&)> take,
                        const std::string& description);

/// The parts between commas; empty ones are omitted.
std::vector<std::string> split(const std::string& text);

}  // namespace homeward::cli
