// homeward-spool: looks at, and sends, what apps keep in a spool directory.

#include <cstdio>
#include <string>
#include <thread>

#include "publisher/api/checked_options.hpp"
#include "publisher/platform/standard_descriptors.hpp"
#include "publisher/send/spool_recovery.hpp"
#include "publisher/tools/cli/nats_options.hpp"
#include "publisher/tools/spool/command_line.hpp"
#include "publisher/tools/spool/inspection.hpp"

namespace {

using namespace std::chrono_literals;
using homeward::Run;
using homeward::SpoolCommand;

void say(std::string_view line) {
    homeward::write_on_stderr("homeward-spool: ", line);
}

int inspect(const SpoolCommand& command) {
    const homeward::SpoolView spool = homeward::inspect_spool(command.spool);
    std::fputs((command.json ? to_json(spool) : to_text(spool)).c_str(), stdout);
    return 0;
}

/// What processes that are gone have left, and what cannot be understood.
std::size_t count_left(const SpoolCommand& command) {
    std::size_t left = 0;
    for (const auto& run : homeward::inspect_spool(command.spool).runs) {
        left += run.finding == Run::Finding::alive ? 0 : 1;
    }
    return left;
}

int drain(SpoolCommand command) {
    // These two name the connection, and the inbox that the app's login may subscribe to. Frames
    // keep their own.
    const std::string region = homeward::from_environment("HOMEWARD_REGION");
    const std::string app = homeward::from_environment("HOMEWARD_APP");
    command.publisher.region = region.empty() ? "spool" : region;
    command.publisher.app = app.empty() ? "drain" : app;
    command.publisher.on_log = say;
    if (!homeward::is_inbox_prefix(command.publisher.inbox_prefix)) {
        say("--inbox-prefix is \"" + command.publisher.inbox_prefix + "\"; it must be " +
            homeward::kInboxPrefixRule);
        return 2;
    }
    homeward::FrameSender frame_sender(command.publisher, homeward::FrameSender::Start::at_once,
                                       [] {});
    {
        homeward::SpoolRecovery runs(
            {command.spool, {}, {}, homeward::limits_of(command.publisher)}, frame_sender,
            [](const std::string& line) { say(line); });
        runs.scan();
        const auto deadline = std::chrono::steady_clock::now() + command.patience;
        do {
            runs.advance();
            std::this_thread::sleep_for(5ms);
        } while (runs.size() > 0 && std::chrono::steady_clock::now() < deadline);
    }
    const std::size_t left = count_left(command);
    if (left > 0) say(std::to_string(left) + " publishers' events are still here");
    return left > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    homeward::occupy_standard_descriptors();
    SpoolCommand command;
    if (const auto exit_code = homeward::parse_command_line(argc, argv, command)) {
        return *exit_code;
    }
    std::error_code error;
    if (!std::filesystem::is_directory(command.spool, error)) {
        say(command.spool.string() + " is no directory; name the app's spool_dir");
        return 2;
    }
    try {
        return command.verb == SpoolCommand::Verb::drain ? drain(std::move(command))
                                                         : inspect(command);
    } catch (const std::exception& failure) {
        say(failure.what());
        return 2;
    }
}
