// homeward_metrics.h: a program in C11, judged by the rows of metric_points on a real leader.

#include "tests/support/catch.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/servers/bridge.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("what a C program counts and records are rows that add up, also those of its child") {
    if (!kCanForkThreads) {
        WARN("not tried: no sanitizer is fit for threads in a forked child");
        return;
    }
    Bridge bridge;
    bridge.start_consumer();
    const CommandResult ran =
        run_command({HOMEWARD_C_METER_PROGRAM, bridge.leaf().url()}, {}, 120s);
    INFO(ran.output);
    REQUIRE(ran.exit_code == 0);
    const CommandResult proof = bridge.consumer_command({"proof", "--wait", "60", "--final"}, 90s);
    INFO(proof.output);
    CHECK(proof.exit_code == 0);
    const auto one = [&](const std::string& what, const std::string& name) {
        return bridge.leader().query("SELECT " + what + " FROM metric_points WHERE name = '" +
                                     name + "'")[0][0];
    };
    CHECK(one("sum(sum)::int8 || ' ' || count(DISTINCT origin)", "c.requests") == "160007 2");
    CHECK(one("min(sum)::int8", "c.requests") == "7");
    CHECK(one("sum(sum)::int8", "c.open") == "40000");
    CHECK(one("sum(count) || ' ' || sum(sum) || ' ' || min(unit)", "c.seconds") ==
          "80000 120000 s");
    CHECK(one("max(value) || ' ' || min(unit)", "c.heat") == "21.5 Cel");
    CHECK(one("min(attributes ->> 'route') || min(attributes ->> 'method')", "c.heat") ==
          "/ordersGET");
}
