// A COMMIT whose answer never came: did it happen or not? The ledger knows.

#include <array>
#include <atomic>

#include "tests/consumer/ledger/account.hpp"
#include "tests/fault/load.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/faults/tcp_proxy.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a connection that is cut while COMMIT is under way neither loses nor doubles a row") {
    // Method: a proxy on the way to the leader looks for COMMIT and resets the connection, in turn
    // before the leader has it, right behind it, and when the leader has answered; 20 times, or
    // 200 with --full. Four frames make a batch, so that every cut meets several origins.
    constexpr std::array kCuts{TcpProxy::Act::cut, TcpProxy::Act::cut_behind,
                               TcpProxy::Act::cut_at_answer};
    const int cuts_wanted = rounds(20, 200);
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_ROWS_MAX", "40"},
                           {"HOMEWARD_BATCH_DELAY_MS", "0"},
                           {"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "100"}};
    Bridge bridge(options);
    TcpProxy proxy(bridge.leader().port());
    bridge.environment()["HOMEWARD_POSTGRES_URL"] =
        "postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres";
    bridge.start_consumer();
    std::atomic<int> commits{0};
    std::atomic<int> cuts{0};
    proxy.watch([&](std::string_view sent) {
        if (sent.find("COMMIT; SELECT") == std::string_view::npos) return TcpProxy::Act::pass;
        // Every third: what has been cut must come through in between.
        if (++commits % 3 != 0 || cuts >= cuts_wanted) return TcpProxy::Act::pass;
        return kCuts[static_cast<std::size_t>(cuts++) % kCuts.size()];
    });

    std::vector<std::unique_ptr<FramePublisher>> senders;
    for (int i = 0; i < 4; ++i) {
        senders.push_back(std::make_unique<FramePublisher>(bridge.leaf().port(), "ams", "shop"));
    }
    std::int64_t sent = 0;
    for (std::uint64_t first = 1; cuts < cuts_wanted; first += 10) {
        REQUIRE(first < 100'000);
        for (const auto& sender : senders) sender->send(sender->frame(first, 10));
        sent += 40;
        // About a batch each, and never far ahead: more would only pile up behind the cuts.
        sleep_ms(5);
        REQUIRE(wait_until(120s, [&] { return sent / 40 < commits + 100; }));
    }
    CHECK(wait_until(120s, [&] { return rows(bridge.leader()) == sent; }));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == sent);
    CHECK(distinct_rows(bridge.leader()) == sent);
    CHECK(dead_letters(bridge.leader()) == 0);
    CHECK(conflicts(bridge.leader()) == 0);
    // A third of the cuts at least came behind a COMMIT that had happened.
    const int behind_min = cuts_wanted / 3;
    CHECK(bridge.metric("homeward_skipped_events_total") >= 10 * behind_min);
    CHECK(has_packs_if_packed(bridge.leader()));
    CHECK(bridge.metric("homeward_retries_total") >= cuts_wanted);
}
