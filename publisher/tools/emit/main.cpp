// homeward-emit: lines of standard input, or of clients of a socket, become events.

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "publisher/platform/standard_descriptors.hpp"
#include "publisher/tools/emit/command_line.hpp"
#include "publisher/tools/emit/event_line.hpp"
#include "publisher/tools/emit/line_buffer.hpp"
#include "publisher/tools/emit/socket_server.hpp"
#include "publisher/tools/emit/statsd_listener.hpp"
#include "schemas/text/json_text.hpp"

namespace {

using homeward::EmitCommand;
using homeward::EmitResult;
using homeward::Publisher;

/// More complaints than this tell a person nothing new.
constexpr std::uint64_t kComplaintsMax = 10;
constexpr std::string_view kTooLong = "longer than 256 KiB";

void log_to_stderr(std::string_view line) {
    homeward::write_on_stderr("homeward-emit: ", line);
}

void complain(homeward::LineTally& tally, std::string_view what) {
    if (++tally.refused > kComplaintsMax) return;
    log_to_stderr("line " + std::to_string(tally.lines) + " left out: " + std::string(what));
    if (tally.refused == kComplaintsMax) {
        log_to_stderr("further lines that are left out are only counted");
    }
}

/// Audit waits for room: standard input is held back, and nobody's request depends on it.
EmitResult emit_patiently(Publisher& publisher, const EmitCommand& command, const std::string& type,
                          std::string_view object) {
    constexpr std::chrono::years kForever(50);
    const std::vector<std::string_view> required = required_of(command, type);
    return homeward::detail::retry_while_full(kForever, [&] {
        return publisher.emit_json(type, class_of(command, type), object, 0, required);
    });
}

std::string text_object(const EmitCommand& command, std::string_view line,
                        homeward::LineTally& tally) {
    if (line.ends_with('\r')) line.remove_suffix(1);  // a line of Windows ends with both
    std::string object = "{\"" + command.text_field + "\":";
    tally.replaced += homeward::append_json_string(object, line);
    return object + '}';
}

void emit_line(Publisher& publisher, const EmitCommand& command, std::string_view line,
               homeward::LineTally& tally) {
    ++tally.lines;
    line = homeward::without_byte_order_mark(line);
    const bool is_text = !command.text_field.empty();
    if (!is_text && homeward::is_blank(line)) return;
    const std::string text = is_text ? text_object(command, line, tally) : std::string();
    if (is_text) line = text;
    const homeward::EventLine event = homeward::read_event_line(line, command.type);
    if (!event.problem.empty()) return complain(tally, event.problem);
    switch (emit_patiently(publisher, command, event.type, line)) {
        case EmitResult::accepted:
            ++tally.taken;
            break;
        case EmitResult::dropped:
            ++tally.dropped;
            break;
        case EmitResult::too_large:
            complain(tally, kTooLong);
            break;
        case EmitResult::incomplete:
            complain(tally, Publisher::explain_json(event.type, line, 0,
                                                    required_of(command, event.type)));
            break;
        default:
            complain(tally, "the publisher is closed");
            break;
    }
}

/// Returns whether the stream has acknowledged everything.
bool close(Publisher& publisher, const EmitCommand& command, const homeward::LineTally& tally) {
    const homeward::FlushResult closed = publisher.close(command.patience);
    if (command.quiet) return closed.done;
    std::string summary;
    const auto add = [&](const char* name, std::uint64_t count) {
        summary += (summary.empty() ? "" : " ") + std::string(name) + "=" + std::to_string(count);
    };
    add("lines", tally.lines);
    add("emitted", tally.taken);
    add("dropped", tally.dropped);
    add("left_out", tally.refused);
    add("unacknowledged", closed.events_left);
    if (tally.replaced > 0) add("replaced", tally.replaced);
    log_to_stderr(summary);
    return closed.done;
}

/// Bytes of standard input, 0 at its end; -1 and errno.
ssize_t read_input(std::span<char> buffer) {
    for (;;) {
        const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return got;
        pollfd ready{STDIN_FILENO, POLLIN, 0};
        ::poll(&ready, 1, -1);
    }
}

int emit_input(const EmitCommand& command) {
    Publisher publisher(command.publisher);
    homeward::LineTally tally;
    homeward::LineBuffer lines;
    const auto take = [&](std::string_view line, bool is_too_long) {
        if (tally.lines == 0 && homeward::is_utf16(line)) {
            throw homeward::SetupError(
                "standard input is UTF-16; send UTF-8 (in PowerShell: "
                "Out-File -Encoding utf8)");
        }
        if (!is_too_long) return emit_line(publisher, command, line, tally);
        ++tally.lines;
        complain(tally, kTooLong);
    };
    std::array<char, 64u << 10> buffer;
    ssize_t got = 0;
    while ((got = read_input(buffer)) > 0) {
        lines.add({buffer.data(), static_cast<std::size_t>(got)}, take);
    }
    if (got < 0)
        log_to_stderr("standard input cannot be read: " + std::string(std::strerror(errno)));
    lines.finish(take);
    const bool is_all = close(publisher, command, tally) && tally.refused == 0 && got == 0;
    return is_all ? 0 : 1;
}

/// A descriptor that can be read once somebody wants us to end. Before there is another thread.
int stop_descriptor() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const int descriptor = ::signalfd(-1, &signals, SFD_CLOEXEC);
    if (descriptor < 0)
        throw homeward::SetupError(std::string("signalfd: ") + std::strerror(errno));
    return descriptor;
}

int emit_sockets(const EmitCommand& command) {
    const int stop = stop_descriptor();
    homeward::SocketServer::Sockets sockets;
    for (const homeward::ListenAddress& address : command.listen) {
        if (address.is_statsd) continue;
        sockets.push_back(std::make_unique<homeward::ListenSocket>(address, command.socket_mode));
    }
    homeward::StatsdListener statsd(command);
    Publisher publisher(command.publisher);
    statsd.open(publisher, log_to_stderr);
    homeward::SocketServer server(command, sockets, publisher, log_to_stderr);
    for (const auto& receiver : statsd.receivers()) server.serve(*receiver);
    for (const auto& socket : sockets) log_to_stderr("listening on " + socket->path().string());
    for (const auto& receiver : statsd.receivers()) {
        log_to_stderr("listening on " + receiver->name() + " for StatsD");
    }
    server.run(stop);
    const std::string summary = statsd.finish();
    const bool is_done = close(publisher, command, server.tally());
    if (!command.quiet && !summary.empty()) log_to_stderr(summary);
    return is_done ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    homeward::occupy_standard_descriptors();
    EmitCommand command;
    if (const auto exit_code = homeward::parse_command_line(argc, argv, command)) {
        return *exit_code;
    }
    try {
        command.publisher.on_log = log_to_stderr;
        return command.listen.empty() ? emit_input(command) : emit_sockets(command);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward-emit: %s\n", error.what());
        return 2;
    }
}
