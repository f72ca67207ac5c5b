#include "schemas/nats/outage_log.hpp"

#include <vector>

#include "tests/support/catch.hpp"

using homeward::OutageLog;
using namespace std::chrono_literals;

namespace {

/// A try each second, from `began` on.
struct Outage {
    OutageLog log;
    OutageLog::Clock::time_point began{24h};

    /// When something was said in these seconds.
    std::vector<int> said(int first, int last, const char* cause = "refused") {
        std::vector<int> when;
        for (int second = first; second < last; ++second) {
            if (log.failed(cause, began + std::chrono::seconds(second))) when.push_back(second);
        }
        return when;
    }
};

}  // namespace

TEST_CASE("an outage is said at once, at doubling intervals up to an hour, and at its end") {
    Outage outage;
    CHECK(outage.said(0, 700) == std::vector<int>{0, 10, 30, 70, 150, 310, 630});
    CHECK(outage.said(700, 20'000) ==
          std::vector<int>{1'270, 2'550, 5'110, 8'710, 12'310, 15'910, 19'510});
    CHECK(outage.log.failed("refused", outage.began + 23'110s) == "refused; for 23110 s now");
    CHECK(outage.log.ended("back", outage.began + 23'120s) == "back after 23120 s");
    CHECK_FALSE(outage.log.ended("back", outage.began + 23'121s));
    CHECK(outage.said(30'000, 30'020) == std::vector<int>{30'000, 30'010});
}

TEST_CASE("another cause is said at once, but two that alternate no more often than every 10 s") {
    Outage outage;
    CHECK(outage.said(0, 100) == std::vector<int>{0, 10, 30, 70});
    CHECK(outage.said(100, 120, "no route") == std::vector<int>{100, 110});
    int lines = 0;
    for (int second = 200; second < 300; second += 2) {
        lines += static_cast<int>(outage.said(second, second + 1, "refused").size() +
                                  outage.said(second + 1, second + 2, "no route").size());
    }
    CHECK(lines <= 10);
    CHECK(lines > 1);
}
