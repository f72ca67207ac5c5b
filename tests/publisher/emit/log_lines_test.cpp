// Real input that nobody here made: the lines of this machine's own logs.

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLinesWanted = 1'000;
constexpr std::size_t kBytesMax = 32u << 20;

/// Without their ends, LF or CRLF.
std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
        begin = end + 1;
    }
    return lines;
}

/// Every text file below /var/log that we may read.
std::string machine_logs() {
    std::string text;
    const auto options = fs::directory_options::skip_permission_denied;
    std::error_code error;
    for (fs::recursive_directory_iterator file("/var/log", options, error), end;
         !error && file != end && text.size() < kBytesMax; file.increment(error)) {
        if (!file->is_regular_file(error)) continue;
        const std::string content = read_file(file->path());
        if (content.empty() || content.find('\0') != std::string::npos) continue;
        if (content.compare(0, 2, "\x1f\x8b") == 0) continue;  // rotated and compressed
        text += content;
        if (text.back() != '\n') text += '\n';
    }
    return text;
}

bool is_ascii(const std::string& line) {
    return std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c < 127; });
}

std::vector<std::string> sorted_ascii(std::vector<std::string> lines) {
    std::erase_if(lines, [](const std::string& line) { return !is_ascii(line); });
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace

TEST_CASE("every line of this machine's logs is one row, through a type of the user's own") {
    // Method: the logs go through homeward-emit --text-field into a table that only a schema file
    // in the test describes; lines are counted and compared on both sides.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SCHEMA_TYPES_DIR", HOMEWARD_LOG_LINE_TYPES}};
    options.leader_settings = {"log_min_messages = debug2"};
    Bridge bridge(options);
    bridge.start_consumer();

    std::string text = machine_logs();
    if (lines_of(text).size() < kLinesWanted) {
        std::printf("/var/log has only %zu lines; the log of this test's PostgreSQL is added\n",
                    lines_of(text).size());
        text += bridge.leader().log();
    }
    text += "a line of Windows\r\n";
    const fs::path input = bridge.dir() / "input";
    std::ofstream(input, std::ios::binary) << text;
    const std::vector<std::string> lines = lines_of(text);
    REQUIRE(lines.size() >= kLinesWanted / 10);

    ProcessOptions emit;
    emit.input = input;
    const CommandResult emitted = run_command(
        {HOMEWARD_EMIT_PROGRAM, "--server", bridge.leaf().url(), "--region", "ams", "--app", "logs",
         "--type", "log_line", "--text-field", "line", "--spool", bridge.dir() / "spool"},
        emit);
    INFO(emitted.output);
    CHECK(emitted.exit_code == 0);
    CHECK(emitted.output.find("lines=" + std::to_string(lines.size()) + " emitted=" +
                              std::to_string(lines.size()) + " ") != std::string::npos);

    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    CHECK(bridge.leader().number("SELECT count(*) FROM log_lines") ==
          static_cast<std::int64_t>(lines.size()));
    CHECK(bridge.leader().number(
              "SELECT count(*) FROM log_lines WHERE line = 'a line of Windows'") == 1);
    std::vector<std::string> found;
    for (const auto& row : bridge.leader().query("SELECT line FROM log_lines")) {
        found.push_back(row[0]);
    }
    const bool same = sorted_ascii(found) == sorted_ascii(lines);  // not printed: megabytes
    CHECK(same);
}
