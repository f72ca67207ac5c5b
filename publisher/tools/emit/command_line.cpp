#include "publisher/tools/emit/command_line.hpp"

#include <cstdio>
#include <cstdlib>

#include "publisher/tools/cli/command_words.hpp"
#include "schemas/text/event.hpp"
#include "schemas/types/embedded.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward {
namespace {

constexpr const char* kHelpBegin =
    R"(homeward-emit - sends events to the PostgreSQL leader, by way of NATS JetStream

  homeward-emit --region ams --app shop < events.ndjson
  tail -F access.log | homeward-emit --region ams --app web --type log_line --text-field line
  homeward-emit --region ams --app shop --spool DIR --listen unix:/run/homeward/emit.sock

Each line is one event: a JSON object with a "type" and that type's fields, or, with --text-field,
plain text. Lines come from standard input, or from whoever may write to the sockets of --listen.

A line's "time" is RFC 3339 text or whole microseconds since 1970-01-01 UTC; without one it is now.
Lines are UTF-8. A byte order mark is skipped; with --text-field, bytes that are not UTF-8 become
U+FFFD, and the summary counts them (replaced=).

Standard input: lines that are no event are counted, named by number, and left out; at the end it
waits until the stream has acknowledged everything.
Stream socket: a line that is not taken is answered at once, on a line of its own:
  {"line":3,"refused":"full","why":"no room; try again later"}
(also invalid, incomplete, too_large, closed). An empty line asks how it stands; when the client has ended its
side, the same is the last answer: {"lines":9,"taken":8,"dropped":0,"refused":1}
Datagram socket: one event a line, one or more lines a datagram; no answers.
SIGTERM: takes what clients have sent by then, waits for the stream as above, and ends.

  --region NAME       where this runs: a-z 0-9 _ - (or environment HOMEWARD_REGION)
  --app NAME          what this is: a-z 0-9 _ -    (or environment HOMEWARD_APP)
)";
// kNatsHelp comes between.
constexpr const char* kHelpEnd =
    R"(  --spool DIR         keep accepted events here until they are acknowledged, so that they survive
                      the death of this process; what an earlier one left is sent first
  --frame-version N   1 (default), or 2: frames signed by a key of this run; consumers of 0.1 do not
                      read these
  --durability WHAT   with --spool, what an accepted event survives: process (default), the death of
                      this process; disk, also a power cut, once its frame is logged
  --lanes WHERE       with --spool, where events are for the milliseconds before they are logged:
                      memory (default: /dev/shm), spool. Choose spool in a container: its /dev/shm is
                      empty when it starts anew, and what was there is lost, and reported
  --log-mib MIB       keep up to this much, compressed, while NATS is away; default 256, of each class
  --spool-mib MIB     and this much in DIR as a whole, with what others have left; default 4096
  --resend-seconds S  keep what NATS has acknowledged so long, default 10, to send it again when a
                      nats-server that was killed has lost it; 0: not at all
  --resend-mib MIB    and at most so much of it, default 8, of each class
  --listen ADDRESS    unix:PATH (stream) or unixgram:PATH (datagram); may be given again
  --socket-mode MODE  permissions of the socket files, in octal; default 0660
  --type TYPE         every line is an event of this type
  --text-field FIELD  lines are plain text; each becomes {"FIELD": line} (needs --type)
  --types DIR         event types of your own (*.json); their class is known, as that of the types
                      "audit" and "metric" is
  --class CLASS       of types that are not known: audit (default), not to be lost in silence (from
                      standard input it waits for room, on a socket it is refused), or metric,
                      which is dropped without room, and reported
  --metrics TYPE[,TYPE]  types that are not known and are of class metric
  --wait SECONDS      for the last acknowledgement; default 30
  --quiet             no summary
  --help, --version

Exit status: 0 all acknowledged; 1 something was not, or a line of standard input was left out (it
says what); 2 wrong usage.
)";

int usage_error(const std::string& what) {
    std::fprintf(stderr, "homeward-emit: %s\nTry 'homeward-emit --help'.\n", what.c_str());
    return 2;
}

void set_defaults(EmitCommand& command) {
    command.publisher.region = from_environment("HOMEWARD_REGION");
    command.publisher.app = from_environment("HOMEWARD_APP");
}

void learn_types(EmitCommand& command, const std::string& types_dir) {
    for (const ShippedEventType& shipped : shipped_event_types()) {
        const EventType type = parse_event_type(shipped.json, shipped.name);
        command.known_types[type.name] = type.event_class;
    }
    if (types_dir.empty()) return;
    for (const EventType& type : load_event_types(types_dir)) {
        command.known_types[type.name] = type.event_class;
    }
}

/// What --class or --metrics says of a type whose own class is another.
std::string class_conflict(const EmitCommand& command) {
    const auto conflict = [&](const std::string& type, EventClass wanted, const char* option) {
        const auto known = command.known_types.find(type);
        if (known == command.known_types.end() || known->second == wanted) return std::string();
        return "type \"" + type + "\" is of class " + std::string(to_string(known->second)) + "; " +
               option + " is for types that are not known here";
    };
    std::string found;
    if (command.event_class) found = conflict(command.type, *command.event_class, "--class");
    for (const std::string& type : command.metric_types) {
        if (found.empty()) found = conflict(type, EventClass::metric, "--metrics");
    }
    return found;
}

std::optional<int> check(const EmitCommand& command) {
    if (!command.type.empty() && !is_type_name(command.type)) {
        return usage_error("--type \"" + command.type +
                           "\" is no name of an event type: " + std::string(kTypeNameRule));
    }
    if (const std::string conflict = class_conflict(command); !conflict.empty()) {
        return usage_error(conflict);
    }
    if (command.publisher.region.empty()) return usage_error("--region is missing");
    if (command.publisher.app.empty()) return usage_error("--app is missing");
    if (!command.text_field.empty() && command.type.empty()) {
        return usage_error("--text-field needs --type");
    }
    if (command.publisher.durability == Durability::disk && command.publisher.spool_dir.empty()) {
        return usage_error("--durability disk needs --spool");
    }
    if (!command.text_field.empty() && !command.listen.empty()) {
        return usage_error("--text-field is for standard input, not for --listen");
    }
    return std::nullopt;
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command) {
    set_defaults(command);
    std::string mistake;
    std::string types_dir;
    bool lanes_in_spool = false;
    const auto mib_into = [&mistake](std::size_t& bytes, const char* name, unsigned long least,
                                     unsigned long most) {
        return [=, &mistake, &bytes](const std::string& v) {
            const auto given = parse_mib(v, least, most);
            if (given) bytes = *given;
            if (!given) {
                mistake = std::string(name) + " must be a number from " + std::to_string(least) +
                          " to " + std::to_string(most);
            }
        };
    };
    CommandOptions options = nats_options(command.publisher);
    options.merge(CommandOptions{
        {"--region", [&](const auto& v) { command.publisher.region = v; }},
        {"--app", [&](const auto& v) { command.publisher.app = v; }},
        {"--spool", [&](const auto& v) { command.publisher.spool_dir = v; }},
        {"--frame-version",
         [&](const std::string& v) {
             if (v != "1" && v != "2") mistake = "--frame-version must be 1 or 2";
             command.publisher.frame_version = v == "2" ? 2 : 1;
         }},
        {"--durability",
         [&](const auto& v) {
             if (v != "process" && v != "disk") mistake = "--durability must be process or disk";
             command.publisher.durability = v == "disk" ? Durability::disk : Durability::process;
         }},
        {"--lanes",
         [&](const auto& v) {
             if (v != "memory" && v != "spool") mistake = "--lanes must be memory or spool";
             lanes_in_spool = v == "spool";
         }},
        {"--type", [&](const auto& v) { command.type = v; }},
        {"--types", [&](const auto& v) { types_dir = v; }},
        {"--text-field", [&](const auto& v) { command.text_field = v; }},
        {"--class",
         [&](const auto& v) {
             const auto event_class = parse_event_class(v);
             if (!event_class) mistake = "--class must be audit or metric";
             command.event_class = event_class;
         }},
        {"--metrics", [&](const auto& v) { command.metric_types = split(v); }},
        {"--listen",
         [&](const auto& v) {
             if (!ListenAddress::parse(v, command.listen.emplace_back())) {
                 mistake = "--listen must be unix:PATH or unixgram:PATH";
             }
         }},
        {"--log-mib", mib_into(command.publisher.log_bytes_max, "--log-mib", 16, 1'000'000)},
        {"--spool-mib",
         mib_into(command.publisher.spool_bytes_max, "--spool-mib", 64, 100'000'000)},
        {"--resend-mib", mib_into(command.publisher.resend_bytes_max, "--resend-mib", 1, 1'000)},
        {"--resend-seconds",
         [&](const auto& v) {
             const auto seconds = parse_seconds(v);
             if (!seconds) mistake = "--resend-seconds must be a number from 0 to 86400";
             if (seconds) command.publisher.resend_age_max = *seconds;
         }},
        {"--socket-mode",
         [&](const auto& v) {
             char* end = nullptr;
             const unsigned long mode = std::strtoul(v.c_str(), &end, 8);
             if (v.empty() || *end != '\0' || mode > 0777) {
                 mistake = "--socket-mode must be octal, from 0 to 0777";
             }
             command.socket_mode = static_cast<unsigned>(mode);
         }},
        {"--wait",
         [&](const auto& v) {
             const auto seconds = parse_seconds(v);
             if (!seconds) mistake = "--wait must be a number of seconds from 0 to 86400";
             command.patience = seconds.value_or(command.patience);
         }},
    });
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--help") {
            std::printf("%s%s%s", kHelpBegin, kNatsHelp, kHelpEnd);
            return 0;
        }
        if (name == "--version") {
            std::puts("homeward-emit " HOMEWARD_VERSION);
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
        hide_password(argv[i]);
        if (!mistake.empty()) return usage_error(mistake);
    }
    if (lanes_in_spool && !command.publisher.spool_dir.empty()) {
        command.publisher.lane_dir =
            std::filesystem::absolute(command.publisher.spool_dir) / "lanes";
    }
    try {
        learn_types(command, types_dir);
    } catch (const SchemaError& error) {
        return usage_error(error.what());
    }
    return check(command);
}

}  // namespace homeward
