#include <homeward/replay/counters.hpp>
#include <homeward/replay/postgres.hpp>

#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

Decision decision_of(Reason reason) {
    Situation situation;
    situation.method = "POST";
    situation.cause = cause_of_sqlstate("25006");
    situation.has_handler_run = true;
    situation.was_replayed = reason == Reason::replayed_yet_not_primary;
    return decide(situation, {"scl", "ams"});
}

}  // namespace

TEST_CASE("decisions are counted by verdict and reason, from many threads") {
    Counters counters;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&counters] {
            for (int n = 0; n < 1000; ++n) {
                counters.count(decision_of(Reason::read_only_error));
                counters.count(decision_of(Reason::replayed_yet_not_primary));
                counters.count({});
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(counters.replayed(Reason::read_only_error) == 4000);
    CHECK(counters.refused(Reason::replayed_yet_not_primary) == 4000);
    CHECK(counters.refused(Reason::read_only_error) == 0);
    CHECK(counters.replayed(Reason::none) == 0);
}

TEST_CASE("every reason has one series, whether it has happened or not") {
    Counters counters;
    counters.count(decision_of(Reason::read_only_error));
    const std::string text = counters.prometheus();
    CHECK(text.find("homeward_replay_replayed_total{reason=\"read_only_error\"} 1\n") !=
          std::string::npos);
    for (std::size_t i = 1; i < kReasons; ++i) {
        const std::string label = "reason=\"" + std::string(name_of(static_cast<Reason>(i))) + "\"";
        INFO(label);
        REQUIRE(text.find(label) != std::string::npos);
        CHECK(text.find(label) == text.rfind(label));
    }
}

TEST_CASE("each decision that can be made moves the series of its reason") {
    Policy policy;
    policy.schema_lag = true;
    std::set<Reason> seen;
    const auto judge = [&](const Situation& situation, const std::string& region,
                           bool writes_by_method) {
        policy.writes_by_method = writes_by_method;
        const Decision decision = decide(situation, {"scl", region}, policy);
        if (decision.verdict == Verdict::proceed || !seen.insert(decision.reason).second) return;
        Counters counters;
        counters.count(decision);
        INFO(name_of(decision.reason));
        CHECK(counters.prometheus().find("{reason=\"" + std::string(name_of(decision.reason)) +
                                         "\"} 1\n") != std::string::npos);
    };
    for (const char* method : {"GET", "POST"}) {
        for (const char* sqlstate : {"", "25006", "0A000", "40001", "42P01", "08006"}) {
            for (int i = 0; i < 6 * 3 * 64; ++i) {
                Situation situation;
                situation.method = method;
                situation.cause = cause_of_sqlstate(sqlstate);
                situation.has_handler_run = *sqlstate != '\0';
                situation.coverage = static_cast<Coverage>(i % 6);
                situation.server_role = static_cast<ServerRole>(i / 6 % 3);
                const int bits = i / 18;
                situation.was_replayed = (bits & 1) != 0;
                situation.has_replay_failed = (bits & 2) != 0;
                situation.is_websocket = (bits & 4) != 0;
                situation.is_length_unknown = (bits & 8) != 0;
                situation.body_bytes = (bits & 16) != 0 ? kReplayBodyBytesMax + 1 : 0;
                judge(situation, "ams", (bits & 32) != 0);
                judge(situation, "scl", false);
            }
        }
    }
    CHECK(seen.size() == kReasons - 1);  // every rule can happen
}
