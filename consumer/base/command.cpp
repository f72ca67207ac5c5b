#include "consumer/base/command.hpp"

#include <utility>

namespace homeward::consumer {

CLI::App& add_command(const Commands& commands, const std::string& name,
                      const std::string& description, Command run) {
    CLI::App* const command = commands.app.add_subcommand(name, description);
    command->callback([command, &chosen = commands.chosen, run = std::move(run)] {
        // CLI11 calls this after the callback of a command's own command.
        if (command->get_subcommands().empty()) chosen = run;
    });
    return *command;
}

Commands add_command_group(const Commands& commands, const std::string& name,
                           const std::string& description) {
    CLI::App* const group = commands.app.add_subcommand(name, description);
    group->require_subcommand(1);
    return {*group, commands.chosen};
}

}  // namespace homeward::consumer
