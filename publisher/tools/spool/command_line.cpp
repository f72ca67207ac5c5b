#include "publisher/tools/spool/command_line.hpp"

#include "publisher/tools/cli/nats_options.hpp"
#include "schemas/cli/command_line.hpp"
#include "schemas/cli/options.hpp"

namespace homeward {
namespace {

constexpr const char* kDescription =
    R"(shows, and sends, what apps keep in a spool directory

  homeward-spool inspect /var/lib/shop
  homeward-spool drain /var/lib/shop --server nats://127.0.0.1:4222

An app with a spool directory (spool_dir, or homeward-emit --spool) keeps its events there until
NATS JetStream has acknowledged them. Events of a killed process are sent by any other process
with the same directory. Use this tool when there is none, or to see what is there.)";

constexpr const char* kInspect =
    R"(show frames, lanes, events and damage of every process

It also shows the size of the spool on disk, and its limit.)";

constexpr const char* kDrain =
    R"(send what ended processes have left

Each event keeps the identity, region and app with which it was accepted. It is removed once the
stream has it. No event is written twice; several drains and apps share the work. What is not sent
in time stays.)";

constexpr const char* kExitStatus =
    "Exit status: 0: nothing is left behind by ended processes, or inspect has succeeded; 1: "
    "something is left, and the program says what; 2: wrong usage.";

void add_directory(CLI::App& command, SpoolCommand& spool) {
    cli::add_text(command, "DIR", "DIR", spool.spool, "the app's spool directory")->required();
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, SpoolCommand& command) {
    cli::CommandLine line("homeward-spool", kDescription, HOMEWARD_VERSION);
    CLI::App& app = line.app();
    app.require_subcommand(1);

    CLI::App* inspect = app.add_subcommand("inspect", kInspect);
    add_directory(*inspect, command);
    inspect->add_flag("-j,--json", command.json, "print JSON");
    inspect->callback([&command] { command.verb = SpoolCommand::Verb::inspect; });

    CLI::App* drain = app.add_subcommand("drain", kDrain);
    add_directory(*drain, command);
    cli::add_seconds(*drain, "-w,--wait", command.patience, "try this long");
    add_nats_options(*drain, command.publisher);
    drain->callback([&command] { command.verb = SpoolCommand::Verb::drain; });

    app.footer(kExitStatus);
    if (const auto status = line.parse(argc, argv)) return status;
    if (command.publisher.nats_urls.empty()) {
        return line.report(cli::UsageError("--server is empty"));
    }
    return std::nullopt;
}

}  // namespace homeward
