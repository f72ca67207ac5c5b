#pragma once

#include <functional>
#include <string>

#include "consumer/base/config.hpp"
#include "schemas/cli/command_line.hpp"

namespace homeward::consumer {

using cli::UsageError;

/// What a command does once the configuration is read. Returns the exit status; throws UsageError,
/// LeaderError, NatsError.
using Command = std::function<int(const Config& config)>;

/// Where commands are declared: below the program, or below another command.
struct Commands {
    CLI::App& app;
    Command& chosen;  ///< becomes the command that was given; outlives `app`
};

/// `description`: a summary; after an empty line, details may follow.
CLI::App& add_command(const Commands& commands, const std::string& name,
                      const std::string& description, Command run);
/// One that only has commands of its own, of which one must be given.
Commands add_command_group(const Commands& commands, const std::string& name,
                           const std::string& description);

}  // namespace homeward::consumer
