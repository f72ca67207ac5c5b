#include "schemas/cli/man_page.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "schemas/cli/help_text.hpp"

namespace homeward::cli {
namespace {

constexpr std::string_view kExitStatus = "Exit status: ";

/// Text as roff prints it.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == '\\') {
            result += "\\e";
        } else if (c == '-') {
            result += "\\-";
        } else {
            result += c;
        }
    }
    // At the beginning of a line these would begin a request.
    return !result.empty() && (result[0] == '.' || result[0] == '\'') ? "\\&" + result : result;
}

std::string bold(const std::string& text) {
    return "\\fB" + escaped(text) + "\\fR";
}

std::string page_name(const CLI::App& app) {
    std::string name = path_of(app);
    std::replace(name.begin(), name.end(), ' ', '-');
    return name;
}

/// Paragraphs; lines that begin with a space are examples and stay as they are.
std::string paragraphs(const std::string& text) {
    std::string result;
    bool is_example = false;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const bool begins_example = !line.empty() && line[0] == ' ';
        if (begins_example != is_example) result += begins_example ? ".PP\n.EX\n" : ".EE\n";
        is_example = begins_example;
        result += line.empty() ? ".PP\n" : escaped(line) + "\n";
    }
    return is_example ? result + ".EE\n" : result;
}

/// "-n, --limit N" with the names bold and the value in italics.
std::string term(const CLI::Option& option) {
    if (option.get_positional()) return "\\fI" + escaped(names_of(option)) + "\\fR";
    std::string text;
    for (const std::string& name : option.get_snames()) text += bold("-" + name) + ", ";
    for (const std::string& name : option.get_lnames()) text += bold("--" + name) + ", ";
    text.resize(text.size() - 2);
    return takes_value(option) ? text + " \\fI" + escaped(option.get_type_name()) + "\\fR" : text;
}

std::string terms(const std::vector<const CLI::Option*>& options) {
    std::string text;
    for (const CLI::Option* option : options) {
        text += ".TP\n" + term(*option) + "\n" + paragraphs(description_of(*option));
    }
    return text;
}

std::string options_of(const CLI::App& app, const std::string& heading) {
    std::string text;
    if (!arguments_of(app).empty()) text += heading + "ARGUMENTS\n" + terms(arguments_of(app));
    for (const auto& [group, options] : option_groups(app)) {
        std::string title = group;
        std::transform(title.begin(), title.end(), title.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        text += heading + title + "\n" + terms(options);
    }
    return text;
}

/// Of a command of a command, inside its page.
std::string section(const CLI::App& command) {
    std::string text = ".SS \"" + escaped(path_of(command)) + "\"\n";
    text += paragraphs("Usage: " + usage_of(command)) + ".PP\n";
    text += paragraphs(command.get_description());
    text += terms(arguments_of(command));
    for (const auto& [group, options] : option_groups(command)) text += terms(options);
    return text;
}

std::string commands_of(const CLI::App& app, bool has_pages) {
    const auto commands = visible_commands(app);
    if (commands.empty()) return "";
    std::string text = ".SH COMMANDS\n";
    for (const CLI::App* command : commands) {
        if (has_pages) {
            text += ".TP\n" + bold(command->get_name()) + "\n" +
                    paragraphs(summary_of(*command) + "; see " + page_name(*command) + "(1)");
        } else {
            text += section(*command);
        }
    }
    return text;
}

std::string page(const CLI::App& program, const CLI::App& app) {
    const bool is_program = &program == &app;
    std::string title = page_name(app);
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    std::string text = ".TH " + escaped(title) + " 1 \"\" Homeward \"User Commands\"\n";
    text += ".SH NAME\n" + escaped(page_name(app)) + " \\- " + escaped(summary_of(app)) + "\n";
    text += ".SH SYNOPSIS\n" + bold(path_of(app)) +
            escaped(usage_of(app).substr(path_of(app).size())) + "\n";
    if (!details_of(app).empty()) text += ".SH DESCRIPTION\n" + paragraphs(details_of(app));
    text += commands_of(app, is_program) + options_of(app, ".SH ");
    const std::string footer = program.get_footer();
    if (footer.rfind(kExitStatus, 0) == 0) {
        text += ".SH EXIT STATUS\n" + paragraphs(footer.substr(kExitStatus.size()));
    }
    return is_program ? text : text + ".SH SEE ALSO\n" + bold(page_name(program)) + "(1)\n";
}

}  // namespace

std::map<std::string, std::string> man_pages(const CLI::App& program) {
    std::map<std::string, std::string> pages{{page_name(program), page(program, program)}};
    for (const CLI::App* command : visible_commands(program)) {
        pages[page_name(*command)] = page(program, *command);
    }
    return pages;
}

}  // namespace homeward::cli
