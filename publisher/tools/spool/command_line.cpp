#include "publisher/tools/spool/command_line.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include "publisher/tools/cli/command_words.hpp"

namespace homeward {
namespace {

constexpr const char* kHelpBegin =
    R"(homeward-spool - looks at, and sends, what apps keep in a spool directory

  homeward-spool inspect /var/lib/shop
  homeward-spool drain /var/lib/shop --server nats://127.0.0.1:4222

An app with a spool directory (spool_dir, or homeward-emit --spool) keeps its events there until
NATS JetStream has acknowledged them. What a process that was killed has left is sent by any other
that uses the same directory; this tool is for when there is none, or to see what is there.

inspect DIR           what every process has left or is at work with: frames, lanes, events, damage,
                      and what the spool takes on disk of what it may
  --json              the same as JSON
drain DIR             sends what processes that are gone have left, each event under the identity,
                      region and app that it was accepted with, and removes it once the stream has
                      it. Nothing lands twice; two drains, or a drain and an app, share the work.
)";
// kNatsHelp comes between.
constexpr const char* kHelpEnd =
    R"(  --wait SECONDS      how long to try; default 30. What is not sent by then stays.
--help, --version

Exit status: 0 nothing is left behind by processes that are gone (inspect: or nothing asked that);
1 something is, and it says what; 2 wrong usage.
)";

int usage_error(const std::string& what) {
    std::fprintf(stderr, "homeward-spool: %s\nTry 'homeward-spool --help'.\n", what.c_str());
    return 2;
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, SpoolCommand& command) {
    std::vector<std::string> words(argv + 1, argv + argc);
    for (int i = 1; i < argc; ++i) hide_password(argv[i]);
    for (const std::string& word : words) {
        if (word != "--help" && word != "-h") continue;
        std::printf("%s%s%s", kHelpBegin, kNatsHelp, kHelpEnd);
        return 0;
    }
    if (!words.empty() && words[0] == "--version") {
        std::puts("homeward-spool " HOMEWARD_VERSION);
        return 0;
    }
    if (words.size() < 2)
        return usage_error("a verb (inspect or drain) and a directory are needed");
    if (words[0] != "inspect" && words[0] != "drain") return usage_error("no verb " + words[0]);
    command.verb = words[0] == "drain" ? SpoolCommand::Verb::drain : SpoolCommand::Verb::inspect;
    command.spool = words[1];

    PublisherOptions& publisher = command.publisher;
    const CommandOptions options = nats_options(publisher);
    for (std::size_t i = 2; i < words.size(); ++i) {
        if (words[i] == "--json") {
            command.json = true;
            continue;
        }
        if (i + 1 == words.size()) return usage_error(words[i] + " is unknown or needs a value");
        const std::string& value = words[i + 1];
        if (words[i] == "--wait") {
            const auto seconds = parse_seconds(value);
            if (!seconds) return usage_error("--wait must be a number of seconds from 0 to 86400");
            command.patience = *seconds;
        } else if (const auto option = options.find(words[i]); option != options.end()) {
            option->second(value);
        } else {
            return usage_error("unknown option " + words[i]);
        }
        ++i;
    }
    if (publisher.nats_urls.empty()) return usage_error("--server is empty");
    return std::nullopt;
}

}  // namespace homeward
