// homeward-emit: lines of standard input become events.

#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "publisher/emit/command_line.hpp"
#include "schemas/json_text.hpp"

namespace {

using homeward::EmitCommand;
using homeward::EmitResult;
using homeward::Publisher;

/// More complaints than this tell a person nothing new.
constexpr std::uint64_t kComplaintsMax = 10;

struct Tally {
    std::uint64_t emitted = 0;
    std::uint64_t dropped = 0;
    std::uint64_t refused = 0;
};

void complain(Tally& tally, std::uint64_t line_number, const char* what) {
    if (++tally.refused > kComplaintsMax) return;
    std::fprintf(stderr, "homeward-emit: line %" PRIu64 " left out: %s\n", line_number, what);
    if (tally.refused == kComplaintsMax) {
        std::fputs("homeward-emit: further lines that are left out are only counted\n", stderr);
    }
}

/// Audit waits for room: standard input is held back, and nobody's request depends on it.
EmitResult emit_patiently(Publisher& publisher, const EmitCommand& command, std::string_view type,
                          std::string_view object) {
    for (;;) {
        const EmitResult result = publisher.emit_json(type, command.event_class, object);
        if (result != EmitResult::full) return result;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

std::string text_object(const EmitCommand& command, const std::string& line) {
    std::string object = "{\"" + command.text_field + "\":";
    homeward::append_json_string(object, line);
    return object + '}';
}

/// The line's own "type"; empty when it is no event. What else is in it, the consumer judges.
std::string type_of(const std::string& line) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return "";
    const auto type = json.find("type");
    return type != json.end() && type->is_string() ? type->get<std::string>() : "";
}

void emit_line(Publisher& publisher, const EmitCommand& command, const std::string& line,
               std::uint64_t line_number, Tally& tally) {
    const bool is_text = !command.text_field.empty();
    std::string type = command.type;
    if (is_text) {
        // any line is an event
    } else if (line.find_first_not_of(" \t\r") == std::string::npos) {
        return;
    } else if (!nlohmann::json::accept(line)) {
        return complain(tally, line_number, "not a JSON object on one line");
    } else if (type.empty()) {
        type = type_of(line);
        if (type.empty()) return complain(tally, line_number, "it has no \"type\"");
    }
    const std::string text = is_text ? text_object(command, line) : std::string();
    switch (emit_patiently(publisher, command, type, is_text ? text : line)) {
        case EmitResult::accepted: ++tally.emitted; break;
        case EmitResult::dropped: ++tally.dropped; break;
        case EmitResult::too_large: complain(tally, line_number, "longer than 256 KiB"); break;
        default: complain(tally, line_number, "no space left for the spool"); break;
    }
}

int run(EmitCommand command) {
    command.publisher.on_log = [](std::string_view line) {
        std::fprintf(stderr, "homeward-emit: %.*s\n", static_cast<int>(line.size()), line.data());
    };
    Publisher publisher(command.publisher);
    Tally tally;
    std::uint64_t line_number = 0;
    for (std::string line; std::getline(std::cin, line);) {
        emit_line(publisher, command, line, ++line_number, tally);
    }
    const homeward::FlushResult closed = publisher.close(command.patience);
    if (!command.quiet) {
        std::fprintf(stderr,
                     "homeward-emit: lines=%" PRIu64 " emitted=%" PRIu64 " dropped=%" PRIu64
                     " left_out=%" PRIu64 " unacknowledged=%" PRIu64 "\n",
                     line_number, tally.emitted, tally.dropped, tally.refused,
                     closed.events_left);
    }
    return closed.done && tally.refused == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    EmitCommand command;
    if (const auto exit_code = homeward::parse_command_line(argc, argv, command)) {
        return *exit_code;
    }
    try {
        return run(std::move(command));
    } catch (const homeward::SetupError& error) {
        std::fprintf(stderr, "homeward-emit: %s\n", error.what());
        return 2;
    }
}
