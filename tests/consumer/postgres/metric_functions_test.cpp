// homeward.rate(), homeward.quantile() and the merge of histograms, on a real leader: a script
// compares them with numpy on the same samples.

#include <iostream>

#include "tests/support/catch.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("metric functions agree with numpy, and refuse what they cannot answer") {
    Bridge bridge;
    const CommandResult applied = bridge.consumer_command({"schema", "apply"});
    INFO(applied.output);
    REQUIRE(applied.exit_code == 0);
    ProcessOptions options;
    options.environment = {{"PGHOST", "127.0.0.1"},
                           {"PGPORT", std::to_string(bridge.leader().port())},
                           {"PGUSER", "postgres"},
                           {"PGTZ", "UTC"},
                           {"LC_ALL", "C.UTF-8"}};
    const CommandResult compared =
        run_command({HOMEWARD_METRIC_FUNCTIONS_SCRIPT, HOMEWARD_DASHBOARD}, options, 600s);
    std::cout << compared.output;
    CHECK(compared.exit_code == 0);
}
