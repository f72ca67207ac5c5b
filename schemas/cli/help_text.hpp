#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace homeward::cli {

// What --help, manual pages and completion read from the same definitions. The placeholder of an
// option (type_name) says which values it takes: FILE, DIR, or words separated by '|'.

/// What --help prints about a program or one of its commands, at most 80 columns wide.
std::string help_text(const CLI::App& app);

/// "homeward-consumer dead-letters list"
std::string path_of(const CLI::App& app);
/// The path and what follows it: "homeward-spool inspect [OPTIONS] DIR".
std::string usage_of(const CLI::App& app);
/// The description up to its first empty line, and what follows that.
std::string summary_of(const CLI::App& app);
std::string details_of(const CLI::App& app);

std::vector<const CLI::App*> visible_commands(const CLI::App& app);
/// Without arguments that have no name.
std::vector<const CLI::Option*> visible_options(const CLI::App& app);
std::vector<const CLI::Option*> arguments_of(const CLI::App& app);
/// The visible options by group, in the order of their declaration.
std::vector<std::pair<std::string, std::vector<const CLI::Option*>>> option_groups(
    const CLI::App& app);

/// Whether a value follows it.
bool takes_value(const CLI::Option& option);
/// "-n, --limit N"; "NUMBER..."
std::string names_of(const CLI::Option& option);
/// With the default and the environment variable.
std::string description_of(const CLI::Option& option);

}  // namespace homeward::cli
