#include "schemas/cli/completion.hpp"

#include <algorithm>
#include <vector>

#include "schemas/cli/help_text.hpp"

namespace homeward::cli {
namespace {

std::string replaced(std::string text, char from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, 1, to);
    }
    return text;
}

/// Its names as they are typed.
std::vector<std::string> typed_names(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

/// "open parked" of "open|parked"; empty when the values are not known.
std::string choices_of(const CLI::Option& option) {
    const std::string placeholder = option.get_type_name();
    return placeholder.find('|') == std::string::npos ? "" : replaced(placeholder, '|', " ");
}

/// The command's words behind the program's name.
std::string words_of(const CLI::App& app) {
    return app.get_parent() == nullptr ? "" : path_of(app).substr(path_of(app).find(' ') + 1);
}

std::vector<const CLI::App*> all_commands(const CLI::App& app) {
    std::vector<const CLI::App*> all{&app};
    for (const CLI::App* command : visible_commands(app)) {
        const auto below = all_commands(*command);
        all.insert(all.end(), below.begin(), below.end());
    }
    return all;
}

/// "a" | "b", as a pattern of `case`.
std::string pattern(const CLI::App& app, const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : " | ") + ("\"" + words_of(app) + ":" + name + "\"");
    }
    return text;
}

std::string bash_values(const CLI::Option& option) {
    const std::string placeholder = option.get_type_name();
    if (placeholder == "FILE" || placeholder == "DIR") {
        return "compopt -o filenames 2>/dev/null\n            COMPREPLY=($(compgen -" +
               std::string(placeholder == "DIR" ? "d" : "f") + " -- \"$word\"))";
    }
    const std::string choices = choices_of(option);
    return choices.empty() ? ":" : "COMPREPLY=($(compgen -W \"" + choices + "\" -- \"$word\"))";
}

std::string function_name(const CLI::App& app) {
    return "_" + replaced(replaced(path_of(app), '-', "_"), ' ', "_");
}

std::string zsh_text(const std::string& text) {
    std::string result = replaced(text, '\'', "'\\''");
    for (const char special : {'[', ']', ':'}) {
        result = replaced(result, special, std::string("\\") + special);
    }
    return result;
}

/// An argument without completion has an empty list: with a message, zsh would show that instead
/// of completing an option in its place.
std::string zsh_value(const CLI::Option& option) {
    const std::string placeholder = option.get_type_name();
    const std::string choices = choices_of(option);
    const std::string action = placeholder == "FILE"  ? "_files"
                               : placeholder == "DIR" ? "_files -/"
                               : choices.empty()      ? (option.get_positional() ? "()" : " ")
                                                      : "(" + choices + ")";
    return ":" + zsh_text(choices.empty() ? placeholder : "value") + ":" + action;
}

std::string zsh_option(const CLI::Option& option) {
    std::string exclusive, braces;
    const auto names = typed_names(option);
    for (const std::string& name : names) {
        exclusive += (exclusive.empty() ? "" : " ") + name;
        braces += (braces.empty() ? "" : ",") + name;
    }
    const std::string head =
        names.size() > 1 ? "'(" + exclusive + ")'{" + braces + "}'" : "'" + names.front();
    return head + "[" + zsh_text(option.get_description()) + "]" +
           (takes_value(option) ? zsh_value(option) : "") + "'";
}

std::string zsh_function(const CLI::App& app) {
    std::string text = function_name(app) + "() {\n";
    const auto commands = visible_commands(app);
    text += "    local curcontext=\"$curcontext\" state line\n";
    // Behind a command come only that command's options.
    text += "    local -A opt_args\n    _arguments -s -C";
    if (!commands.empty()) text += " -A '-*'";
    for (const CLI::Option* option : visible_options(app))
        text += " \\\n        " + zsh_option(*option);
    for (const CLI::Option* argument : arguments_of(app)) {
        text += " \\\n        '*" + zsh_value(*argument) + "'";
    }
    if (commands.empty()) return text + "\n}\n\n";
    text += " \\\n        '1:command:->command' \\\n        '*::argument:->argument'\n";
    text +=
        "    case $state in\n        command)\n            local -a commands\n            "
        "commands=(\n";
    for (const CLI::App* command : commands) {
        text += "                '" + command->get_name() + ":" + zsh_text(summary_of(*command)) +
                "'\n";
    }
    text += "            )\n            _describe command commands ;;\n        argument)\n";
    text += "            case $words[1] in\n";
    for (const CLI::App* command : commands) {
        text += "                " + command->get_name() + ") " + function_name(*command) + " ;;\n";
    }
    return text + "            esac ;;\n    esac\n}\n\n";
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
    std::string commands, values, with_value, words;
    for (const CLI::App* app : all_commands(program)) {
        std::string completed;
        for (const CLI::App* command : visible_commands(*app)) {
            commands += (commands.empty() ? "" : " | ") + pattern(*app, {command->get_name()});
            completed += command->get_name() + " ";
        }
        for (const CLI::Option* option : visible_options(*app)) {
            completed += typed_names(*option).back() + " ";
            if (!takes_value(*option)) continue;
            const std::string names = pattern(*app, typed_names(*option));
            with_value += (with_value.empty() ? "" : " | ") + names;
            values += "        " + names + ")\n            " + bash_values(*option) +
                      "\n            return ;;\n";
        }
        words += "        \"" + words_of(*app) + "\") words=\"" + completed + "\" ;;\n";
    }
    std::string files;
    for (const CLI::App* app : all_commands(program)) {
        for (const CLI::Option* argument : arguments_of(*app)) {
            if (choices_of(*argument).empty() && bash_values(*argument) == ":") continue;
            files += "        \"" + words_of(*app) +
                     "\")\n            [[ $word == -* ]] || {\n            " +
                     bash_values(*argument) + "\n            return; } ;;\n";
        }
    }
    const std::string name = program.get_name();
    const std::string function = function_name(program);
    std::string text = "# bash completion for " + name + "\n" + function + "() {\n";
    text +=
        "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local command=\"\" words=\"\" i\n"
        "    # --option=value arrives as three words.\n"
        "    if [[ $word == = ]]; then\n"
        "        word=\"\"\n"
        "    elif [[ $previous == = ]]; then\n"
        "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "    fi\n"
        "    COMPREPLY=()\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case \"$command:${COMP_WORDS[i]}\" in\n";
    if (!with_value.empty()) text += "            " + with_value + ") ((i++)) ;;\n";
    if (!commands.empty()) {
        text +=
            "            " + commands + ") command=\"${command:+$command }${COMP_WORDS[i]}\" ;;\n";
    }
    text += "            *) ;;\n        esac\n    done\n";
    text += "    case \"$command:$previous\" in\n" + values + "        *) ;;\n    esac\n";
    if (!files.empty()) text += "    case \"$command\" in\n" + files + "        *) ;;\n    esac\n";
    text += "    case \"$command\" in\n" + words + "    esac\n";
    text += "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n";
    return text + "complete -F " + function + " " + name + "\n";
}

std::string zsh_completion(const CLI::App& program) {
    std::string text = "#compdef " + program.get_name() + "\n\n";
    for (const CLI::App* app : all_commands(program)) text += zsh_function(*app);
    // The file is the body of _PROGRAM, which the first completion calls.
    return text + function_name(program) + " \"$@\"\n";
}

}  // namespace homeward::cli
