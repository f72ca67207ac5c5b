#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "schemas/cli/usage_error.hpp"

namespace homeward::cli {

/// A program's command line: CLI11, and what all of our programs have in common. --help works after
/// every command, --version prints the version, and an option that is given twice takes its last
/// value. Errors name the nearest command or option. One thread.
class CommandLine {
  public:
    /// `summary`: one line; after an empty line, details may follow.
    CommandLine(const std::string& name, const std::string& summary, const std::string& version);
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    /// Where options and commands are declared, before parse().
    CLI::App& app() { return app_; }

    /// Fills what the options are bound to. Hidden: --write-documentation DIR as the only words.
    /// Returns the exit status when there is nothing else to do: after --help, or after an error,
    /// which it prints. Overwrites passwords of URLs in `argv`, so that the list of processes does
    /// not show them.
    std::optional<int> parse(int argc, char** argv);

    /// Prints an error that was found after parse(). Returns 2.
    int report(const UsageError& error) const;

  private:
    std::string mistake(const CLI::ParseError& error) const;
    std::optional<std::string> unknown_word() const;
    bool asks_for_help() const;

    CLI::App app_;
    std::string last_word_;
};

/// Calls `add` for the program and all of its commands.
void for_each_command(CLI::App& app, const std::function<void(CLI::App&)>& add);

/// Hides a command that works as before; whoever uses it is told the new name.
void deprecate(CLI::App& command, const std::string& new_name);

/// The command that was given, or the program when none was.
const CLI::App& chosen(const CLI::App& app);

/// Overwrites in place the user, password or token of every URL in `argument`.
void hide_password(char* argument);

}  // namespace homeward::cli
