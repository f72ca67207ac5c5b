// What must hold of the ledger, rule by rule, through the real consumer: each was learnt by
// breaking it (DESIGN, "The idea: the range ledger").

#include <algorithm>
#include <random>

#include "tests/consumer/ledger/account.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/frame_publisher.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// All that is sent within half a second lands in one transaction.
BridgeOptions one_batch() {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_DELAY_MS", "500"},
                           {"HOMEWARD_BATCH_ADAPTIVE_DELAY", "false"},
                           {"HOMEWARD_BATCH_WRITERS", "1"}};
    return options;
}

/// Asked while the consumer itself compacts, compact() leaves it to that.
void compact_all(const PostgresServer& leader) {
    REQUIRE(wait_until(30s, [&] {
        leader.query("SELECT homeward.compact()");
        return leader.number("SELECT count(*) FROM homeward.ledger_frame") == 0;
    }));
}

}  // namespace

TEST_CASE("a frame that is in a batch twice lands once") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string frame = sender.frame(1, 100);
    for (int copy = 0; copy < 3; ++copy) sender.send(frame);
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 100);
    CHECK(bridge.metric("homeward_skipped_events_total") == 200);
    CHECK(bridge.metric("homeward_batches_total") == 1);  // else it was not one batch
}

TEST_CASE("a frame that comes again makes no dead letters of a user's own unique index") {
    Bridge bridge(one_batch());
    REQUIRE(bridge.consumer_command({"schema", "apply"}).exit_code == 0);
    bridge.leader().query("CREATE UNIQUE INDEX ON audit_events (resource, origin, time)");
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    const std::string first = sender.frame(1, 100);
    sender.send(first);
    expect_clean(bridge);
    sender.send(first);
    sender.send(sender.frame(101, 50));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 150);
    CHECK(dead_letters(bridge.leader()) == 0);
    CHECK(bridge.metric("homeward_redos_total") >= 1);
}

TEST_CASE("a frame that overlaps settled seqs only in part is quarantined, and the proof says so") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    SECTION("before the compaction") {}
    SECTION("after the compaction") {
        compact_all(bridge.leader());
    }
    sender.send(sender.frame(6, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    CHECK(rows(bridge.leader()) == 10);
    CHECK(bridge.leader().query("SELECT seq_first, seq_last, length(frame) > 68"
                                " FROM homeward.conflict") == Rows{{"6", "15", "t"}});
    sender.send(sender.frame(16, 5));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 15; }));
    const CommandResult result = bridge.consumer_command({"proof", "--final"});
    INFO(result.output);
    CHECK(result.exit_code == 1);  // 11 to 15 are nowhere
    CHECK(result.output.find(" missing=5 ") != std::string::npos);
}

TEST_CASE("two frames of one batch that overlap in part: the first lands, the other is kept") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    sender.send(sender.frame(6, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    CHECK(wait_until(20s, [&] { return rows(bridge.leader()) == 10; }));
}

TEST_CASE("an origin stays with the region and app that it was first seen under") {
    Bridge bridge;
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    sender.send_as("ams", "thief", sender.frame(11, 10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 1; }));
    sender.send(sender.frame(11, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 20);
    CHECK(bridge.leader().query("SELECT app, seq_first FROM homeward.conflict") ==
          Rows{{"thief", "11"}});
}

TEST_CASE("an origin's frames from another region are quarantined, and settle nothing of it") {
    // Method: two regions, whose streams one server has; the thief may publish in his own alone.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_SOURCES", "ams@ams,syd@ams"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    sender.send(sender.frame(1, 10));
    expect_clean(bridge);
    sender.send_as("syd", "shop", sender.frame(11, 10));
    sender.send_as("syd", "shop", sender.closing_mark(10));
    CHECK(wait_until(30s, [&] { return conflicts(bridge.leader()) == 2; }));
    CHECK(bridge.leader().query("SELECT DISTINCT region, app FROM homeward.conflict") ==
          Rows{{"syd", "shop"}});
    CHECK(rows(bridge.leader()) == 10);
    CHECK(bridge.leader().query("SELECT state FROM homeward.proof") == Rows{{"active"}});
    sender.send(sender.frame(11, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 20);
}

TEST_CASE("thousands of holes are kept and filled in any order, with compactions in between") {
    BridgeOptions options;
    options.environment = {{"HOMEWARD_LEDGER_COMPACT_INTERVAL_MS", "100"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    constexpr std::uint64_t kFrames = 4'000;
    for (std::uint64_t i = 0; i < kFrames; ++i) sender.send(sender.frame(4 * i + 3, 2));
    CHECK(wait_until(30s, [&] { return rows(bridge.leader()) == 2 * kFrames; }));
    compact_all(bridge.leader());
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.ledger, unnest(settled)") ==
          kFrames);
    std::vector<std::uint64_t> holes(kFrames);
    for (std::uint64_t i = 0; i < kFrames; ++i) holes[i] = 4 * i + 1;
    std::shuffle(holes.begin(), holes.end(), std::mt19937_64(7));
    for (std::uint64_t first : holes) sender.send(sender.frame(first, 2));
    sender.send(sender.closing_mark(4 * kFrames));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 4 * kFrames);
    compact_all(bridge.leader());
    CHECK(bridge.leader().number("SELECT count(*) FROM homeward.ledger, unnest(settled)") == 1);
    CHECK(bridge.leader().query("SELECT state FROM homeward.proof") == Rows{{"complete"}});
}

TEST_CASE("an origin that claims absurdly many events spoils neither proof nor hole gauge") {
    Bridge bridge(one_batch());
    bridge.start_consumer();
    FramePublisher liar(bridge.leaf().port(), "ams", "shop");
    FramePublisher another(bridge.leaf().port(), "ams", "shop");
    FramePublisher honest(bridge.leaf().port(), "ams", "web");
    constexpr std::uint64_t kAbsurd = 1ULL << 48;  // a consumer refuses more
    liar.send(liar.frame(1, 10));
    liar.send(liar.closing_mark(kAbsurd));
    another.send(another.closing_mark(kAbsurd));
    honest.send(honest.frame(1, 10, 12));
    REQUIRE(wait_until(30s, [&] {
        return rows(bridge.leader()) == 20 &&
               bridge.leader().number(
                   "SELECT count(*) FROM homeward.origin_status WHERE is_closed") == 2;
    }));
    const std::string sum = "SELECT sum(in_flight + missing)::int8 FROM homeward.proof";
    constexpr std::int64_t kHoles = (2LL << 32) + 2;
    CHECK(bridge.leader().number(sum) == kHoles);
    compact_all(bridge.leader());
    CHECK(bridge.leader().number(sum) == kHoles);
    CHECK(wait_until(40s, [&] { return bridge.metric("homeward_holes") > 8.5e9; }));
    CHECK(bridge.consumer_command({"proof"}).output.find("in_flight=8589934594") !=
          std::string::npos);
}

TEST_CASE(
    "settled frames that are not marked as redelivered cost one rolled-back batch, not each") {
    // Method: a stream that was restored or mirrored, as a sender that sends all of it again.
    BridgeOptions options;
    options.environment = {{"HOMEWARD_BATCH_WRITERS", "1"}};
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher sender(bridge.leaf().port(), "ams", "shop");
    for (std::uint64_t i = 0; i < 10; ++i) sender.send(sender.frame(1 + 10 * i, 10));
    REQUIRE(wait_until(30s, [&] { return rows(bridge.leader()) == 100; }));
    const auto skipped = [&] { return bridge.metric("homeward_skipped_events_total"); };
    for (std::uint64_t i = 0; i < 10; ++i) {  // a batch each
        sender.send(sender.frame(1 + 10 * i, 10));
        REQUIRE(wait_until(30s, [&] { return skipped() == 10.0 * static_cast<double>(i + 1); }));
    }
    CHECK(bridge.metric("homeward_redos_total") == 1);
    // Fresh frames are written at once again.
    sender.send(sender.frame(101, 10));
    sender.send(sender.frame(111, 10));
    expect_clean(bridge);
    CHECK(rows(bridge.leader()) == 120);
    CHECK(bridge.metric("homeward_redos_total") == 1);
}

TEST_CASE("an origin with too many holes may fill them and go on, but begin no more ranges") {
    // Method: events of every other seq, until a compaction finds that they are too many; then
    // frames that begin a range, join one, and fill a hole.
    BridgeOptions options = one_batch();
    options.environment["HOMEWARD_LEDGER_RANGES_MAX"] = "100";
    options.environment["HOMEWARD_LEDGER_COMPACT_INTERVAL_MS"] = "200";
    Bridge bridge(options);
    bridge.start_consumer();
    FramePublisher ragged(bridge.leaf().port(), "ams", "shop");
    FramePublisher other(bridge.leaf().port(), "ams", "web");
    for (std::uint64_t seq = 2; seq <= 240; seq += 2) ragged.send(ragged.frame(seq, 1));
    const auto ranges = [&] {
        return bridge.leader().number(
            "SELECT coalesce(max(homeward.range_count(settled)), 0) FROM homeward.origin_status");
    };
    const auto is_ragged = [&] {
        return bridge.leader().number("SELECT count(*) FROM homeward.ledger WHERE is_fragmented") ==
               1;
    };
    REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 120 && is_ragged(); }));

    SECTION("frames that begin a range are quarantined, also when they join one another") {
        for (std::uint64_t seq : {1'001, 1'011, 1'021}) ragged.send(ragged.frame(seq, 10));
        REQUIRE(wait_until(60s, [&] { return conflicts(bridge.leader()) == 3; }));
        CHECK(ranges() == 120);
        // Kept whole, with the reason; what they say of their origin is not believed either.
        CHECK(bridge.leader().number("SELECT count(*) FROM homeward.conflict WHERE reason LIKE"
                                     " '%ledger.ranges_max%' AND octet_length(frame) > 0") == 3);
        CHECK(bridge.leader().number("SELECT sum(in_flight) FROM homeward.proof") == 120);
    }
    SECTION("frames that go on from a range land, one by one and together, compacted or not") {
        ragged.send(ragged.frame(241, 10));
        REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 130; }));
        for (std::uint64_t seq : {251, 261, 271}) ragged.send(ragged.frame(seq, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 160; }));
        ragged.send(ragged.frame(281, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 170; }));
        CHECK(ranges() == 120);
        CHECK(conflicts(bridge.leader()) == 0);
    }
    SECTION("once enough holes are filled, a new range may begin") {
        for (std::uint64_t seq = 3; seq <= 101; seq += 2) ragged.send(ragged.frame(seq, 1));
        REQUIRE(wait_until(60s, [&] { return rows(bridge.leader()) == 170 && !is_ragged(); }));
        ragged.send(ragged.frame(1'001, 10));
        CHECK(wait_until(60s, [&] { return rows(bridge.leader()) == 180; }));
    }
    // Another origin in the same batches is not touched by any of it.
    const std::int64_t before = rows(bridge.leader());
    ragged.send(ragged.frame(5'001, 1));
    other.send(other.frame(7, 5));
    CHECK(wait_until(60s, [&] { return rows(bridge.leader()) >= before + 5; }));
    CHECK(bridge.stop_consumer() == 0);
}
