#include "schemas/cli/help_text.hpp"

#include <algorithm>
#include <sstream>

namespace homeward::cli {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kTextColumn = 26;

/// Joins the lines of a paragraph and breaks them at spaces. A line that begins with a space, an
/// example, stays as it is.
std::string wrapped(const std::string& text, std::size_t indent) {
    std::string result;
    std::size_t column = indent;
    const auto break_line = [&] {
        result += '\n' + std::string(indent, ' ');
        column = indent;
    };
    bool is_in_paragraph = false;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const bool is_plain = !line.empty() && line[0] != ' ';
        if (!result.empty() && !(is_plain && is_in_paragraph)) break_line();
        is_in_paragraph = is_plain;
        if (!is_plain) {
            result += line;
            continue;
        }
        std::istringstream words(line);
        for (std::string word; words >> word;) {
            if (column > indent && column + 1 + word.size() > kColumns) {
                break_line();
            } else if (column > indent) {
                result += ' ';
                ++column;
            }
            result += word;
            column += word.size();
        }
    }
    return result;
}

std::string entry(const std::string& names, const std::string& description) {
    std::string text = "  " + names;
    if (text.size() + 2 > kTextColumn) {
        text += '\n' + std::string(kTextColumn, ' ');
    } else {
        text.resize(kTextColumn, ' ');
    }
    return text + wrapped(description, kTextColumn) + '\n';
}

}  // namespace

std::string help_text(const CLI::App& app) {
    std::string text = wrapped(path_of(app) + " - " + summary_of(app), 0) + "\n\n";
    text += wrapped("Usage: " + usage_of(app), 0) + "\n";
    if (!details_of(app).empty()) text += '\n' + wrapped(details_of(app), 0) + '\n';
    const auto commands = visible_commands(app);
    if (!commands.empty()) text += "\nCommands:\n";
    for (const CLI::App* command : commands) {
        text += entry(command->get_name(), summary_of(*command));
    }
    const auto arguments = arguments_of(app);
    if (!arguments.empty()) text += "\nArguments:\n";
    for (const CLI::Option* argument : arguments) {
        text += entry(names_of(*argument), description_of(*argument));
    }
    for (const auto& [group, options] : option_groups(app)) {
        text += '\n' + group + ":\n";
        for (const CLI::Option* option : options) {
            text += entry(names_of(*option), description_of(*option));
        }
    }
    const std::string footer = app.get_footer();
    return footer.empty() ? text : text + '\n' + wrapped(footer, 0) + '\n';
}

std::string path_of(const CLI::App& app) {
    const CLI::App* const parent = app.get_parent();
    return parent == nullptr ? app.get_name() : path_of(*parent) + " " + app.get_name();
}

std::string usage_of(const CLI::App& app) {
    std::string text = path_of(app);
    if (!visible_options(app).empty()) text += " [OPTIONS]";
    for (const CLI::Option* argument : arguments_of(app)) {
        const std::string name = names_of(*argument);
        text += argument->get_required() ? " " + name : " [" + name + "]";
    }
    if (!visible_commands(app).empty()) {
        text += app.get_require_subcommand_min() > 0 ? " COMMAND" : " [COMMAND]";
    }
    return text;
}

std::string summary_of(const CLI::App& app) {
    const std::string description = app.get_description();
    return description.substr(0, description.find("\n\n"));
}

std::string details_of(const CLI::App& app) {
    const std::string description = app.get_description();
    const std::size_t end = description.find("\n\n");
    return end == std::string::npos ? "" : description.substr(end + 2);
}

std::vector<const CLI::App*> visible_commands(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

std::vector<const CLI::Option*> visible_options(const CLI::App& app) {
    return app.get_options(
        [](const CLI::Option* one) { return !one->get_positional() && !one->get_group().empty(); });
}

std::vector<const CLI::Option*> arguments_of(const CLI::App& app) {
    return app.get_options([](const CLI::Option* one) { return one->get_positional(); });
}

std::vector<std::pair<std::string, std::vector<const CLI::Option*>>> option_groups(
    const CLI::App& app) {
    std::vector<std::pair<std::string, std::vector<const CLI::Option*>>> groups;
    for (const CLI::Option* option : visible_options(app)) {
        const auto known = std::find_if(groups.begin(), groups.end(), [&](const auto& one) {
            return one.first == option->get_group();
        });
        if (known != groups.end()) {
            known->second.push_back(option);
        } else {
            groups.push_back({option->get_group(), {option}});
        }
    }
    // --help and --version are declared first, but matter least.
    for (auto& [group, options] : groups) {
        std::stable_partition(options.begin(), options.end(), [&](const CLI::Option* option) {
            return option->check_lname("help") == false && option->check_lname("version") == false;
        });
    }
    return groups;
}

bool takes_value(const CLI::Option& option) {
    return option.get_items_expected_max() > 0;
}

std::string names_of(const CLI::Option& option) {
    const bool repeats = option.get_items_expected_max() > 1;
    if (option.get_positional()) return option.get_type_name() + (repeats ? "..." : "");
    std::string text;
    for (const std::string& name : option.get_snames()) text += "-" + name + ", ";
    if (text.empty()) text = "    ";
    for (const std::string& name : option.get_lnames()) text += "--" + name + ", ";
    text.resize(text.size() - 2);
    return takes_value(option) ? text + " " + option.get_type_name() : text;
}

std::string description_of(const CLI::Option& option) {
    std::string text = option.get_description();
    if (!option.get_default_str().empty()) text += " (default: " + option.get_default_str() + ")";
    if (!option.get_envname().empty()) text += " (environment: " + option.get_envname() + ")";
    return text;
}

}  // namespace homeward::cli
