#include "publisher/emit/command_line.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <functional>
#include <sstream>

namespace homeward {
namespace {

constexpr const char* kHelp =
    R"(homeward-emit - sends events from standard input to the PostgreSQL leader, by way of NATS

  homeward-emit --region ams --app shop < events.ndjson
  tail -F access.log | homeward-emit --region ams --app web --type log_line --text-field line

Each line of standard input is one event: a JSON object with a "type" and that type's fields, or,
with --text-field, plain text. Lines that are no event are counted, named by number, and left out.
At the end it waits until the stream has acknowledged everything.

  --region NAME       where this runs: a-z 0-9 _ - (or environment HOMEWARD_REGION)
  --app NAME          what this is: a-z 0-9 _ -    (or environment HOMEWARD_APP)
  --server URL[,URL]  NATS; default nats://127.0.0.1:4222 (or environment HOMEWARD_NATS_URL)
  --creds FILE        NATS credentials
  --spool DIR         keep accepted events here until they are acknowledged, so that they survive
                      the death of this process; what an earlier one left is sent first
  --type TYPE         every line is an event of this type
  --text-field FIELD  lines are plain text; each becomes {"FIELD": line} (needs --type)
  --class CLASS       audit (default): wait for room rather than lose a line
                      metric: drop when there is no room, and report how many
  --wait SECONDS      for the last acknowledgement; default 30
  --quiet             no summary
  --help

Exit status: 0 all acknowledged; 1 something was not (it says what); 2 wrong usage.
)";

int usage_error(const std::string& what) {
    std::fprintf(stderr, "homeward-emit: %s\nTry 'homeward-emit --help'.\n", what.c_str());
    return 2;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) {
        if (!part.empty()) parts.push_back(part);
    }
    return parts;
}

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void set_defaults(EmitCommand& command) {
    command.publisher.region = from_environment("HOMEWARD_REGION");
    command.publisher.app = from_environment("HOMEWARD_APP");
    const std::string urls = from_environment("HOMEWARD_NATS_URL");
    if (!urls.empty()) command.publisher.nats_urls = split(urls);
}

std::optional<int> check(const EmitCommand& command) {
    if (command.publisher.region.empty()) return usage_error("--region is missing");
    if (command.publisher.app.empty()) return usage_error("--app is missing");
    if (!command.text_field.empty() && command.type.empty()) {
        return usage_error("--text-field needs --type");
    }
    return std::nullopt;
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command) {
    set_defaults(command);
    std::string mistake;
    const std::map<std::string, std::function<void(const std::string&)>> options{
        {"--region", [&](const auto& v) { command.publisher.region = v; }},
        {"--app", [&](const auto& v) { command.publisher.app = v; }},
        {"--server", [&](const auto& v) { command.publisher.nats_urls = split(v); }},
        {"--creds", [&](const auto& v) { command.publisher.credentials_file = v; }},
        {"--spool", [&](const auto& v) { command.publisher.spool_dir = v; }},
        {"--type", [&](const auto& v) { command.type = v; }},
        {"--text-field", [&](const auto& v) { command.text_field = v; }},
        {"--class",
         [&](const auto& v) {
             const auto event_class = parse_event_class(v);
             if (!event_class) mistake = "--class must be audit or metric";
             command.event_class = event_class.value_or(EventClass::audit);
         }},
        {"--wait",
         [&](const auto& v) {
             char* end = nullptr;
             const long seconds = std::strtol(v.c_str(), &end, 10);
             if (v.empty() || *end != '\0' || seconds < 0 || seconds > 86'400) {
                 mistake = "--wait must be a number of seconds from 0 to 86400";
             }
             command.patience = std::chrono::seconds(seconds);
         }},
    };
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--help") {
            std::fputs(kHelp, stdout);
            return 0;
        }
        if (name == "--quiet") {
            command.quiet = true;
            continue;
        }
        const auto option = options.find(name);
        if (option == options.end()) return usage_error("unknown option " + name);
        if (i + 1 == argc) return usage_error(name + " needs a value");
        option->second(argv[++i]);
        if (!mistake.empty()) return usage_error(mistake);
    }
    return check(command);
}

}  // namespace homeward
