#include "publisher/tools/emit/command_line.hpp"

#include <string_view>

#include "publisher/tools/cli/nats_options.hpp"
#include "publisher/tools/emit/udp_socket.hpp"
#include "schemas/cli/command_line.hpp"
#include "schemas/cli/options.hpp"
#include "schemas/text/event.hpp"
#include "schemas/types/embedded.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward {
namespace {

using cli::UsageError;

constexpr const char* kDescription =
    R"(sends events to the PostgreSQL leader by way of NATS JetStream

  homeward-emit --region ams --app shop < events.ndjson
  tail -F access.log | homeward-emit --region ams --app web --type log_line --text-field line
  homeward-emit --region ams --app shop --spool DIR --listen unix:/run/homeward/emit.sock

Each line is one event: a JSON object with "type" and the fields of that type or, with
--text-field, plain text. Lines come from standard input, or from the clients of the --listen
sockets.

A line's "time" is RFC 3339 text or whole microseconds since 1970-01-01 UTC; the default is now.
Lines are UTF-8 and end in LF or CRLF. A byte order mark is skipped. With --text-field, bytes that
are not UTF-8 become U+FFFD, and the summary counts them (replaced=).

Standard input: lines that are not events are counted, reported by number, and omitted. At the end
of input the program waits until the stream has acknowledged everything.

Stream socket: a refused line is answered at once, on a line of its own:
  {"line":3,"refused":"full","why":"no room; try again later"}
The other reasons are invalid, incomplete and too_large. An empty line requests a summary,
which is also the last answer after the client has closed its side:
  {"lines":9,"taken":8,"dropped":0,"refused":1}

Datagram socket: a datagram contains one or more lines, each an event. There are no answers. A line
that is refused is counted; the first of each reason is printed.

StatsD socket (statsd+unixgram:PATH, statsd+udp:ADDRESS:PORT): a datagram contains one or more lines
NAME:VALUE|TYPE, with sample rates (|@0.1) and DogStatsD's tags (|#key:value,key). Types are c, g, ms,
h and d. Values are added up here; every --statsd-interval each series that has changed becomes one
metric_point. A line that is refused is counted; the first of each cause is printed.

On SIGTERM the program accepts what clients have sent by then, waits for the stream as above, and
exits.)";

constexpr const char* kExitStatus =
    "Exit status: 0: everything was acknowledged; 1: something was not, or a line of standard "
    "input was omitted (the program says what); 2: wrong usage.";

void learn_type(EmitCommand& command, const EventType& type) {
    KnownType& known = command.known_types[type.name];
    known = {type.event_class, {}};
    for (const Field& field : type.fields) {
        if (field.required) known.required.push_back(field.name);
    }
}

void learn_types(EmitCommand& command, const std::string& types_dir) {
    for (const ShippedEventType& shipped : shipped_event_types()) {
        learn_type(command, parse_event_type(shipped.json, shipped.name));
    }
    if (types_dir.empty()) return;
    for (const EventType& type : load_event_types(types_dir)) learn_type(command, type);
}

/// What --class or --metrics says of a type whose own class is another.
std::string class_conflict(const EmitCommand& command) {
    const auto conflict = [&](const std::string& type, EventClass wanted, const char* option) {
        const auto known = command.known_types.find(type);
        if (known == command.known_types.end()) return std::string();
        const EventClass its = known->second.event_class;
        if (its == wanted) return std::string();
        return "type \"" + type + "\" is of class " + std::string(to_string(its)) + "; " + option +
               " is for types that are not known here";
    };
    std::string found;
    if (command.event_class) found = conflict(command.type, *command.event_class, "--class");
    for (const std::string& type : command.metric_types) {
        if (found.empty()) found = conflict(type, EventClass::metric, "--metrics");
    }
    return found;
}

void check_udp(const std::string& text, bool is_remote_allowed) {
    UdpAddress address;
    if (!UdpAddress::parse(text, address)) {
        throw UsageError(
            "--listen: expected statsd+udp:ADDRESS:PORT with a numeric address, such as "
            "127.0.0.1:8125 or [::1]:8125, not \"" +
            text + "\"");
    }
    if (address.is_loopback() || is_remote_allowed) return;
    throw UsageError("--listen: " + text +
                     " is no loopback address, and UDP cannot check who sends. Use 127.0.0.1 or "
                     "statsd+unixgram:PATH, or add --statsd-remote");
}

void check(const EmitCommand& command) {
    if (!command.type.empty() && !is_type_name(command.type)) {
        throw UsageError("--type \"" + command.type +
                         "\" is not a valid event type name: " + std::string(kTypeNameRule));
    }
    if (const std::string conflict = class_conflict(command); !conflict.empty()) {
        throw UsageError(conflict);
    }
    if (command.publisher.region.empty()) throw UsageError("--region is missing");
    if (command.publisher.app.empty()) throw UsageError("--app is missing");
    if (!command.text_field.empty() && command.type.empty()) {
        throw UsageError("--text-field needs --type");
    }
    if (command.publisher.durability == Durability::disk && command.publisher.spool_dir.empty()) {
        throw UsageError("--durability disk needs --spool");
    }
    if (!command.text_field.empty() && !command.listen.empty()) {
        throw UsageError("--text-field is for standard input, not for --listen");
    }
    for (const ListenAddress& address : command.listen) {
        if (!address.udp.empty()) check_udp(address.udp, command.statsd.is_remote_allowed);
    }
}

void add_source_options(CLI::App& app, EmitCommand& command) {
    cli::add_text(app, "-r,--region", "NAME", command.publisher.region,
                  "the region where this runs: a-z 0-9 _ -")
        ->envname("HOMEWARD_REGION");
    cli::add_text(app, "-a,--app", "NAME", command.publisher.app,
                  "the name of the app: a-z 0-9 _ -")
        ->envname("HOMEWARD_APP");
    app.add_flag("-q,--quiet", command.quiet, "print no summary");
    cli::add_seconds(app, "-w,--wait", command.patience, "wait for the last ack this long");
}

void add_event_options(CLI::App& app, EmitCommand& command, std::string& types_dir) {
    app.option_defaults()->group("Events");
    cli::add_text(app, "-t,--type", "TYPE", command.type, "every line is an event of this type");
    cli::add_text(app, "--text-field", "FIELD", command.text_field,
                  "lines are plain text; each becomes {\"FIELD\": line}. Requires --type");
    cli::add_text(app, "--types", "DIR", types_dir,
                  "directory of your own event types (*.json), whose classes and required fields "
                  "are then known, as those of \"audit\" and \"metric\" are");
    cli::add_choice(
        app, "--class", {"audit", "metric"},
        [&command](const std::string& name) { command.event_class = parse_event_class(name); },
        "class of unknown types. Without room, an audit event waits (standard input) or is "
        "refused (sockets); a metric is dropped and reported");
    app.add_option_function<std::string>(
           "--metrics",
           [&command](const std::string& types) { command.metric_types = cli::split(types); },
           "unknown types that are of class metric")
        ->type_name("TYPE[,TYPE]");
}

void add_spool_options(CLI::App& app, PublisherOptions& publisher, bool& lanes_in_spool) {
    app.option_defaults()->group("Spool");
    cli::add_text(app, "-d,--spool", "DIR", publisher.spool_dir,
                  "keep accepted events here until they are acknowledged, so that they survive "
                  "the death of this process. Events left by earlier processes are sent first");
    cli::add_choice(
        app, "--durability", {"process", "disk"},
        [&publisher](const std::string& what) {
            publisher.durability = what == "disk" ? Durability::disk : Durability::process;
        },
        "with --spool, what an accepted event survives: the death of this process, or also a "
        "power cut, once its frame is logged");
    cli::add_choice(
        app, "--lanes", {"memory", "spool"},
        [&lanes_in_spool](const std::string& where) { lanes_in_spool = where == "spool"; },
        "with --spool, where events stay for the milliseconds before they are logged: /dev/shm, "
        "or the spool. Use spool in a container, whose /dev/shm is empty after a restart");
    cli::add_mib(app, "--log-mib", {16, 1'000'000}, publisher.log_bytes_max,
                 "compressed size of the events to keep while NATS is unreachable, of each class");
    cli::add_mib(app, "--spool-mib", {64, 100'000'000}, publisher.spool_bytes_max,
                 "size of the whole spool, events left by other processes included");
    cli::add_number(
        app, "--resend-seconds", {0, 86'400},
        [&publisher](std::int64_t seconds) {
            publisher.resend_age_max = std::chrono::seconds(seconds);
        },
        "keep acknowledged frames this long, to send them again if a killed nats-server has lost "
        "them; 0 disables this")
        ->type_name("SECONDS")
        ->default_str("10");
    cli::add_mib(app, "--resend-mib", {1, 1'000}, publisher.resend_bytes_max,
                 "size of the acknowledged frames to keep, of each class");
    cli::add_choice(
        app, "--frame-version", {"1", "2"},
        [&publisher](const std::string& version) {
            publisher.frame_version = version == "2" ? 2 : 1;
        },
        "2: frames are signed with a key of this process; consumers of 0.1 cannot read them");
}

void take_socket_mode(const std::string& text, unsigned& mode) {
    const bool is_octal = !text.empty() && text.size() <= 4 &&
                          text.find_first_not_of("01234567") == std::string::npos;
    if (is_octal) mode = static_cast<unsigned>(std::stoul(text, nullptr, 8));
    if (!is_octal || mode > 0777) {
        throw UsageError("--socket-mode: expected an octal number from 0 to 0777, not \"" + text +
                         "\"");
    }
}

void add_socket_options(CLI::App& app, EmitCommand& command) {
    app.option_defaults()->group("Sockets");
    app.add_option_function<std::vector<std::string>>(
           "-l,--listen",
           [&command](const std::vector<std::string>& addresses) {
               for (const std::string& text : addresses) {
                   if (ListenAddress::parse(text, command.listen.emplace_back())) continue;
                   throw UsageError(
                       "--listen: expected unix:PATH, unixgram:PATH, statsd+unixgram:PATH or "
                       "statsd+udp:ADDRESS:PORT, not \"" +
                       text + "\"");
               }
           },
           "listen on unix:PATH (stream) or unixgram:PATH (datagram) for events, on "
           "statsd+unixgram:PATH or statsd+udp:ADDRESS:PORT for StatsD; may be given again")
        ->type_name("ADDRESS")
        ->allow_extra_args(false)
        ->take_all();
    app.add_option_function<std::string>(
           "--socket-mode",
           [&command](const std::string& text) { take_socket_mode(text, command.socket_mode); },
           "permissions of the socket files, in octal")
        ->type_name("MODE")
        ->default_str("0660");
}

void add_statsd_options(CLI::App& app, StatsdOptions& statsd) {
    app.option_defaults()->group("StatsD");
    cli::add_number(
        app, "--statsd-interval", {1, 86'400},
        [&statsd](std::int64_t seconds) { statsd.interval = std::chrono::seconds(seconds); },
        "report changed series this often, and at the end")
        ->type_name("SECONDS")
        ->default_str(std::to_string(statsd.interval.count()));
    cli::add_number(
        app, "--statsd-series-max", {1, 500'000}, statsd.series_max,
        "series (names with their tags) to keep apart; further ones of a name are "
        "folded into one with the attribute otel.metric.overflow, and further names are "
        "refused");
    cli::add_choice(
        app, "--statsd-gauges", {"relative", "absolute"},
        [&statsd](const std::string& what) { statsd.has_relative_gauges = what == "relative"; },
        "what a gauge's value with a sign means: relative, as in StatsD: it is added to the last "
        "value, 0 at first; absolute, as in DogStatsD: it is the value");
    app.add_flag("--statsd-remote", statsd.is_remote_allowed,
                 "allow statsd+udp on addresses that are not loopback addresses. Whoever reaches "
                 "them may write metrics, under any sender address");
}

}  // namespace

std::optional<int> parse_command_line(int argc, char** argv, EmitCommand& command) {
    std::string types_dir;
    bool lanes_in_spool = false;
    cli::CommandLine line("homeward-emit", kDescription, HOMEWARD_VERSION);
    CLI::App& app = line.app();
    add_source_options(app, command);
    add_event_options(app, command, types_dir);
    add_nats_options(app, command.publisher);
    add_spool_options(app, command.publisher, lanes_in_spool);
    add_socket_options(app, command);
    add_statsd_options(app, command.statsd);
    app.footer(kExitStatus);
    if (const auto status = line.parse(argc, argv)) return status;
    if (lanes_in_spool && !command.publisher.spool_dir.empty()) {
        command.publisher.lane_dir = command.publisher.spool_dir / "lanes";
    }
    try {
        learn_types(command, types_dir);
        check(command);
    } catch (const SchemaError& error) {
        return line.report(UsageError(error.what()));
    } catch (const UsageError& error) {
        return line.report(error);
    }
    return std::nullopt;
}

}  // namespace homeward
