#include "tests/bench/support/command_line.hpp"

#include <cstdlib>
#include <string>

#include "schemas/cli/command_line.hpp"
#include "schemas/cli/options.hpp"

namespace homeward::bench {
namespace {

constexpr double kSecondsMin = 0.5;
constexpr double kSecondsMax = 3600;

}  // namespace

BenchOptions parse_command_line(int argc, char** argv, double seconds_default) {
    BenchOptions options{seconds_default, {}};
    const std::string name = std::filesystem::path(*argv).filename();
    cli::CommandLine line(name, "measures a part of Homeward", HOMEWARD_VERSION);
    line.app()
        .add_option("-s,--seconds", options.seconds,
                    "how long the main measurement lasts, from 0.5 to 3600")
        ->type_name("N")
        ->capture_default_str()
        ->check(CLI::Range(kSecondsMin, kSecondsMax).description(""));
    cli::add_text(line.app(), "-j,--json", "FILE", options.json_lines,
                  "append each row to FILE as a line of JSON");
    if (const auto status = line.parse(argc, argv)) std::exit(*status);
    return options;
}

}  // namespace homeward::bench
