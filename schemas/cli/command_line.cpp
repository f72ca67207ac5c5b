#include "schemas/cli/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "schemas/cli/documentation.hpp"
#include "schemas/cli/help_text.hpp"
#include "schemas/text/nearest_name.hpp"

namespace homeward::cli {
namespace {

constexpr int kUsageStatus = 2;

bool is_option(const std::string& word) {
    return word.size() > 1 && word[0] == '-';
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : visible_options(app)) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : visible_commands(app)) names.push_back(command->get_name());
    return names;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
    const auto near = nearest(word, known);
    return near ? "; did you mean " + *near + "?" : "";
}

std::string expected_commands(const CLI::App& app) {
    std::string list;
    for (const std::string& name : command_names(app)) list += (list.empty() ? "" : ", ") + name;
    return list;
}

}  // namespace

CommandLine::CommandLine(const std::string& name, const std::string& summary,
                         const std::string& version)
    : app_(summary, name) {
    app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->group("Options");
    app_.set_help_flag("-h,--help", "print this help");
    app_.set_version_flag("-V,--version", name + " " + version, "print the version");
}

std::optional<int> CommandLine::parse(int argc, char** argv) {
    std::vector<std::string> words;
    for (int i = argc - 1; i > 0; --i) {
        words.emplace_back(argv[i]);  // CLI11 reads the last one first
        hide_password(argv[i]);
    }
    if (!words.empty()) last_word_ = words.front();
    try {
        if (words.size() == 2 && words[1] == "--write-documentation") {
            write_documentation(app_, words[0]);
            return 0;
        }
        app_.parse(std::move(words));
        return std::nullopt;
    } catch (const CLI::CallForVersion& version) {
        std::puts(version.what());
        return 0;
    } catch (const CLI::ParseError& error) {
        if (!asks_for_help()) return report(UsageError(mistake(error)));
    } catch (const std::runtime_error& error) {
        if (!asks_for_help()) return report(UsageError(unknown_word().value_or(error.what())));
    }
    std::fputs(help_text(chosen(app_)).c_str(), stdout);
    return 0;
}

int CommandLine::report(const UsageError& error) const {
    std::string what = error.what();
    hide_password(what.data());
    std::fprintf(stderr, "%s: %s\nTry '%s --help'.\n", app_.get_name().c_str(), what.c_str(),
                 path_of(chosen(app_)).c_str());
    return kUsageStatus;
}

// A word that was not understood explains every other complaint, so it is reported alone.
std::string CommandLine::mistake(const CLI::ParseError& error) const {
    if (auto unknown = unknown_word()) return *unknown;
    const CLI::App& command = chosen(app_);
    const bool is_incomplete = dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr;
    if (is_incomplete && is_option(last_word_)) return last_word_ + " needs a value";
    const bool is_required = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    if (is_required && command.get_require_subcommand_min() > 0) {
        return "a command is missing; expected " + expected_commands(command);
    }
    return error.what();
}

std::optional<std::string> CommandLine::unknown_word() const {
    for (const CLI::App* command = &app_;; command = command->get_subcommands().front()) {
        const std::vector<std::string> words = command->remaining();
        const auto first = std::find_if(words.begin(), words.end(),
                                        [](const std::string& word) { return word != "--"; });
        if (first != words.end()) {
            const std::string name = first->substr(0, first->find('='));
            if (is_option(*first)) {
                return "unknown option " + name + suggestion(name, option_names(*command));
            }
            if (visible_commands(*command).empty()) return "unexpected argument " + *first;
            return "unknown command " + *first + suggestion(*first, command_names(*command));
        }
        if (command->get_subcommands().empty()) return std::nullopt;
    }
}

bool CommandLine::asks_for_help() const {
    for (const CLI::App* command = &app_;; command = command->get_subcommands().front()) {
        if (command->get_help_ptr()->count() > 0) return true;
        if (command->get_subcommands().empty()) return false;
    }
}

void for_each_command(CLI::App& app, const std::function<void(CLI::App&)>& add) {
    add(app);
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
        for_each_command(*command, add);
    }
}

void deprecate(CLI::App& command, const std::string& new_name) {
    command.group("");
    command.description("deprecated name of " + new_name + "\n\n" + command.get_description());
    const std::string program = path_of(*command.get_parent());
    const std::string line =
        program + ": " + command.get_name() + " is deprecated; use " + new_name;
    command.preparse_callback([line](std::size_t) { std::fprintf(stderr, "%s\n", line.c_str()); });
}

const CLI::App& chosen(const CLI::App& app) {
    const auto commands = app.get_subcommands();
    return commands.empty() ? app : chosen(*commands.front());
}

void hide_password(char* argument) {
    for (char* at = std::strstr(argument, "://"); at != nullptr; at = std::strstr(at, "://")) {
        at += 3;
        const std::size_t length = std::strcspn(at, ",/?#");
        char* end = at;
        for (char* c = at; c < at + length; ++c) {
            if (*c == '@') end = c;
        }
        std::fill(at, end, 'x');
        at += length;
    }
}

}  // namespace homeward::cli
