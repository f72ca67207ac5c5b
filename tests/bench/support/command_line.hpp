#pragma once

#include <filesystem>

namespace homeward::bench {

/// What every bench takes: [--seconds N] [--json FILE] [--help].
struct BenchOptions {
    double seconds;  ///< how long the main measurement lasts; the others follow it
    std::filesystem::path json_lines;
};

/// Ends the process after --help, and with status 2 after an error, which it prints.
BenchOptions parse_command_line(int argc, char** argv, double seconds_default);

}  // namespace homeward::bench
