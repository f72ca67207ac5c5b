#include <signal.h>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a frame is in quarantine once its batch is committed, and not before") {
    // Method: two frames that overlap come in one batch, which fails as a table of the ledger is
    // gone. What it had put into quarantine would have room that nobody counts.
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 10; }));
    bridge.consumer().signal(SIGSTOP);
    bridge.leader().query("ALTER TABLE homeward.ledger_frame RENAME TO hidden");
    sender.send(sender.frame(11, 30));
    sender.send(sender.frame(12, 40));
    bridge.consumer().signal(SIGCONT);
    CHECK(wait_until(30s, [&] { return bridge.metric("homeward_paused") == 1; }));
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.conflict") == 0);
    bridge.leader().query("ALTER TABLE homeward.hidden RENAME TO ledger_frame");
    CHECK(wait_until(60s, [&] {
        return bridge.leader().number("SELECT count(*) FROM homeward.conflict") == 1;
    }));
    CHECK(rows(bridge.leader()) == 40);
    CHECK(bridge.stop_consumer() == 0);
}
