#pragma once

#include <filesystem>

namespace homeward::bench {

/// What every bench takes: [--seconds N] [--json FILE].
struct BenchOptions {
    double seconds;  ///< how long the main measurement lasts; the others follow it
    std::filesystem::path json_lines;
};

/// Ends the process with status 2 and a usage line when it does not understand.
BenchOptions parse_command_line(int argc, char** argv, double seconds_default);

}  // namespace homeward::bench
