#include "tests/bench/support/command_line.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace homeward::bench {
namespace {

[[noreturn]] void usage(const char* program) {
    std::fprintf(stderr,
                 "usage: %s [--seconds N] [--json FILE]\n"
                 "  --seconds N  how long the main measurement lasts, 0.5 to 3600\n"
                 "  --json FILE  append each row to FILE as a line of JSON\n",
                 program);
    std::exit(2);
}

}  // namespace

BenchOptions parse_command_line(int argc, char** argv, double seconds_default) {
    BenchOptions options{seconds_default, {}};
    for (int i = 1; i < argc; i += 2) {
        const std::string_view word = argv[i];
        if (i + 1 == argc) usage(argv[0]);
        if (word == "--json") {
            options.json_lines = argv[i + 1];
        } else if (word == "--seconds") {
            options.seconds = std::atof(argv[i + 1]);
        } else {
            usage(argv[0]);
        }
    }
    if (!(options.seconds >= 0.5 && options.seconds <= 3600)) usage(argv[0]);
    return options;
}

}  // namespace homeward::bench
