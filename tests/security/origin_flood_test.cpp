// Boundary: what random publisher ids cost others. The attacker has an app's login, and sends each
// frame under an id of its own, so that the leader has to register an origin for each.

#include <algorithm>
#include <atomic>
#include <thread>

#include "consumer/write/origin_quota.hpp"
#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kNewOriginsMax = "HOMEWARD_LEDGER_NEW_ORIGINS_MAX";

std::int64_t count(Bridge& bridge, const std::string& from) {
    return bridge.leader().number("SELECT count(*) FROM " + from);
}

std::int64_t rows_of(Bridge& bridge, const std::string& app) {
    return count(bridge,
                 "audit_events e JOIN homeward.origin o ON o.id = e.origin"
                 " WHERE o.app = '" +
                     app + "'");
}

/// Sends events one by one, and waits for the row of each.
class PacedSender {
  public:
    PacedSender(Bridge& bridge, const std::string& app)
        : bridge_(bridge), app_(app), sender_(bridge.leaf().port(), "ams", app) {}

    /// The median of the times from sending to the row.
    Clock::duration median(int events) {
        std::vector<Clock::duration> times;
        for (int i = 0; i < events; ++i) {
            const auto sent = Clock::now();
            sender_.send(sender_.frame(next_, 1));
            const auto wanted = static_cast<std::int64_t>(next_++);
            REQUIRE(wait_until(60s, [&] { return rows_of(bridge_, app_) == wanted; }));
            times.push_back(Clock::now() - sent);
        }
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }
    std::int64_t sent() const { return static_cast<std::int64_t>(next_ - 1); }

  private:
    Bridge& bridge_;
    std::string app_;
    FramePublisher sender_;
    std::uint64_t next_ = 1;
};

/// Frames under random publisher ids, until it is told to stop, or at most `count`.
class Flood {
  public:
    Flood(int port, int count)
        : thread_([this, port, count] {
              FramePublisher sender(port, "ams", "flood");
              while (sent_ < count && !is_stopped_) {
                  sender.publisher = PublisherId::random();
                  sender.send(sender.frame(1, 1));
                  ++sent_;
              }
          }) {}
    ~Flood() {
        is_stopped_ = true;
        thread_.join();
    }
    int sent() const { return sent_; }

  private:
    std::atomic<int> sent_{0};
    std::atomic<bool> is_stopped_{false};
    std::thread thread_;  // the last member: it uses the others
};

}  // namespace

TEST_CASE("random publisher ids hold their app's new publishers, and delay no other app") {
    constexpr int kFlood = 2'000;
    constexpr int kPaced = 25;
    BridgeOptions options;
    options.environment = {{kNewOriginsMax, "50"}};
    Bridge bridge(options);
    bridge.start_consumer();
    PacedSender calm(bridge, "calm");
    PacedSender known(bridge, "flood");
    const auto quiet = calm.median(kPaced);
    static_cast<void>(known.median(1));
    {
        Flood flood(bridge.leaf().port(), kFlood);
        REQUIRE(wait_until(60s, [&] { return flood.sent() > 500; }));
        // A second is what a loaded machine adds by itself; the flood used to add 14 to 25.
        CHECK(calm.median(kPaced) < 10 * quiet + 1s);
        // Publishers of other apps that are new are registered.
        PacedSender other(bridge, "other");
        CHECK(other.median(3) < 10 * quiet + 1s);
        REQUIRE(wait_until(60s, [&] { return flood.sent() == kFlood; }));
    }
    CHECK(rows_of(bridge, "calm") == calm.sent());
    CHECK(bridge.metric("homeward_held{kind=\"publishers\",name=\"ams/flood\"}") == 1);
    CHECK(bridge.metric("homeward_held{kind=\"publishers\",name=\"ams/calm\"}") == -1);
    CHECK_THAT(bridge.consumer_log(),
               Contains("new publishers of ams/flood are held: it has had 50 new publishers"));
    CHECK_THAT(bridge.admin("/status.json"), Contains("New publishers of ams/flood are held"));
    const std::int64_t landed = rows_of(bridge, "flood");
    CHECK(landed >= 50);
    CHECK(landed < kFlood / 2);
    CHECK(dead_letters(bridge.leader()) == 0);

    // Nothing of it is lost: what waits in the stream lands when there is room.
    bridge.stop_consumer();
    bridge.environment()[kNewOriginsMax] = "1000000";
    bridge.start_consumer();
    CHECK(wait_until(150s, [&] { return rows(bridge.leader()) == kFlood + calm.sent() + 4; }));
    expect_clean(bridge);
}

TEST_CASE("publishers of a held app that are known are written") {
    BridgeOptions options;
    options.environment = {{kNewOriginsMax, "1"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher first(bridge.leaf().port(), "ams", "shop");
    first.send(first.frame(1, 10));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 10; }));
    FramePublisher second(bridge.leaf().port(), "ams", "shop");
    second.send(second.frame(1, 7));
    CHECK(wait_until(30s, [&] {
        return bridge.metric("homeward_held{kind=\"publishers\",name=\"ams/shop\"}") == 1;
    }));
    first.send(first.frame(11, 10));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 20; }));
    CHECK(count(bridge, "homeward.origin") == 1);
    // The second has its turn once the first is no longer new.
    bridge.leader().query("UPDATE homeward.origin SET first_seen = now() - interval '2 minutes'");
    CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 27; }));
    expect_clean(bridge);
}

TEST_CASE("a source is held from the first new origin too many until it was quiet for some time") {
    consumer::Metrics metrics;
    consumer::OriginQuota quota(2, metrics);
    consumer::OriginQuota::Time now{1h};
    CHECK(quota.is_due(now));
    quota.measured({{"ams/shop", 1}}, now);
    CHECK_FALSE(quota.is_due(now + 1s));
    CHECK(quota.is_due(now + 5s));
    CHECK(quota.admit("ams/shop", now));
    CHECK(metrics.holds().empty());
    CHECK_FALSE(quota.admit("ams/shop", now));
    CHECK(quota.admit("ams/other", now));
    REQUIRE(metrics.holds().size() == 1);
    CHECK(metrics.holds().front().name == "ams/shop");
    now += 1min;
    quota.measured({}, now);
    CHECK(quota.admit("ams/shop", now));
    quota.end_holds(now);
    CHECK(metrics.holds().size() == 1);
    quota.end_holds(now + 2min);
    CHECK(metrics.holds().empty());
}
