// Plain messages land once, in every interleaving. Method: several writers' hands on a real leader,
// moved statement by statement; each message that lands is a row of a table without any unique
// index, so that one too many shows.

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <thread>

#include "tests/consumer/ledger/plain_books.hpp"

using namespace homeward;
using namespace homeward::consumer;
using namespace homeward::consumer::testing;
using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("plain messages are told apart by runs, and their origins are stream and app") {
    Books books;
    Hand hand(books.config);
    std::vector<Sent> sent = messages(1, 1'000);
    for (std::size_t i = 0; i < sent.size(); i += 3) sent[i].app = "web";
    CHECK(hand.take_all(sent) == 1'000);
    CHECK(books.number("SELECT count(*) FROM homeward.plain_run") == 1);
    CHECK(hand.take_all(messages(1'001, 1'000)) == 1'000);
    CHECK(hand.take_all(sent) == 0);
    CHECK(books.number("SELECT homeward.compact_plain()") == 1);
    CHECK(books.number("SELECT count(*) FROM homeward.plain_run WHERE seq_last = 2000") == 1);
    CHECK(hand.take_all(messages(1, 2'000)) == 0);
    CHECK(books.server().query("SELECT app, accepted FROM homeward.origin_status ORDER BY app") ==
          Rows{{"shop", "1666"}, {"web", "334"}});
    books.check(2'000);
}

TEST_CASE("a reservation of several runs that is given up leaves none of them settled") {
    // As when messages with bad events go back to their stream, and the rest is reserved anew.
    Books books;
    std::vector<Sent> sent = messages(1, 3);
    for (const Sent& one : messages(5, 3)) sent.push_back(one);
    for (const Sent& one : messages(9, 3)) sent.push_back(one);
    Hand hand(books.config);
    hand.pick(sent);
    CHECK(hand.reserve() == 9);
    SECTION("by its own writer, for all of them") {
        CHECK(hand.reserve() == 9);
        hand.land();
    }
    SECTION("by another, after kill -9") {
        hand.die();
        CHECK(Hand(books.config).take_all(sent) == 9);
    }
    SECTION("by another, for one message after the other") {
        hand.die();
        for (const Sent& one : sent) CHECK(Hand(books.config).take_all({one}) == 1);
    }
    CHECK(books.account("unused") == 9);
    books.check(9);
}

TEST_CASE("a reservation that upkeep gives up during a look at it is not taken for settled") {
    // Method: a stand-in for the look gives all reservations up after it has seen their runs.
    Books books;
    const std::string arguments =
        "(of_source int4, firsts int8[], lasts int8[], starts_us int8[], ends_us int8[])";
    const std::string types = "(int4, int8[], int8[], int8[], int8[])";
    Hand dead(books.config);
    dead.pick(messages(1, 5));
    CHECK(dead.reserve() == 5);
    dead.die();
    books.server().query("ALTER FUNCTION homeward.plain_overlaps" + types +
                         " RENAME TO real_overlaps");
    books.server().query(
        "CREATE FUNCTION homeward.plain_overlaps" + arguments +
        " RETURNS TABLE (run int4, epoch int4, seq_first int8, seq_last int8,"
        " time_first timestamptz, time_last timestamptz, batch int8, is_other_time boolean)"
        " LANGUAGE plpgsql AS $$ BEGIN"
        " RETURN QUERY SELECT * FROM homeward.real_overlaps(of_source, firsts, lasts, starts_us,"
        " ends_us); PERFORM homeward.release_plain(b.id) FROM homeward.plain_batch b; END $$");
    Hand hand(books.config);
    hand.pick(messages(1, 5));
    const std::size_t fresh = hand.reserve();
    books.server().query("DROP FUNCTION homeward.plain_overlaps" + types);
    books.server().query("ALTER FUNCTION homeward.real_overlaps" + types +
                         " RENAME TO plain_overlaps");
    CHECK(fresh == 5);
    hand.land();
    books.check(5);
}

TEST_CASE("of two writers with the same messages one lands them") {
    Books books;
    Hand one(books.config), other(books.config);
    one.pick(messages(1, 10));
    other.pick(messages(1, 10));
    CHECK(one.reserve() == 10);
    SECTION("the second asks before the first has begun") {
        CHECK(other.reserve() == 10);
        CHECK(one.sqlstate_of_begin() == "HW001");
        other.land();
        CHECK(one.reserve() == 0);
        one.land();
        CHECK(books.account("unused") == 10);
    }
    SECTION("the second asks while the first writes, which commits") {
        one.begin();
        std::size_t fresh = 99;
        std::thread waiting([&] { fresh = other.reserve(); });
        one.write();
        sleep_ms(300);
        CHECK(fresh == 99);
        one.commit();
        waiting.join();
        CHECK(fresh == 0);
        CHECK(books.account("unused") == 0);
    }
    SECTION("the second asks while the first writes, which is rolled back") {
        one.begin();
        one.write();
        std::size_t fresh = 99;
        std::thread waiting([&] { fresh = other.reserve(); });
        sleep_ms(300);
        one.roll_back();
        waiting.join();
        CHECK(fresh == 10);
        other.land();
        CHECK(books.account("unused") == 10);
    }
    SECTION("the first dies while it writes") {
        one.begin();
        one.write();
        one.die();
        CHECK(other.reserve() == 10);
        other.land();
        CHECK(books.account("unused") == 10);
    }
    SECTION("the first's COMMIT came through, its answer did not: it asks again") {
        one.land();
        CHECK(one.reserve() == 0);
        one.land();
        CHECK(other.reserve() == 0);
        CHECK(books.account("unused") == 0);
    }
    SECTION("the first is rolled back and tries again") {
        one.begin();
        one.write();
        one.roll_back();
        CHECK(one.reserve() == 10);
        one.land();
        CHECK(other.reserve() == 0);
        CHECK(books.account("unused") == 10);
    }
    books.check(10);
}

TEST_CASE("what a dead consumer reserved and nobody wants again becomes unused") {
    Books books;
    Hand hand(books.config);
    hand.pick(messages(1, 10));
    CHECK(hand.reserve() == 10);
    CHECK(books.account("accepted") == 10);  // in flight
    books.server().query("SELECT homeward.compact_plain()");
    CHECK(books.account("accepted") == 10);
    books.server().query("SELECT homeward.compact_plain('0')");
    CHECK(books.account("accepted") == 0);
    CHECK(hand.sqlstate_of_begin() == "HW001");
    CHECK(hand.reserve() == 10);
    hand.begin();
    books.server().query("SELECT homeward.compact_plain('0')");  // not what somebody writes
    hand.write();
    hand.commit();
    books.check(10);
}

TEST_CASE("batches that overlap land what is new in each") {
    Books books;
    Hand hand(books.config);
    CHECK(hand.take_all(messages(1, 10)) == 10);
    CHECK(hand.take_all(messages(6, 10)) == 5);
    CHECK(hand.take_all(messages(21, 10)) == 10);
    CHECK(hand.take_all(messages(1, 40)) == 15);
    std::vector<Sent> twice = messages(41, 5);
    const std::vector<Sent> again = messages(39, 5);
    twice.insert(twice.end(), again.begin(), again.end());
    CHECK(hand.take_all(twice) == 5);
    books.check(45);
}

TEST_CASE("sequences that a server gives out again after a power cut are other messages") {
    Books books;
    Hand hand(books.config);
    constexpr std::int64_t kLater = 60'000'000;
    CHECK(hand.take_all(messages(90, 11)) == 11);
    CHECK(hand.take_all(messages(95, 11, kLater)) == 11);
    CHECK(hand.take_all(messages(90, 11)) == 0);
    CHECK(hand.take_all(messages(95, 11, kLater)) == 0);
    // Both in one batch, and a third time.
    std::vector<Sent> both = messages(200, 10);
    const std::vector<Sent> after = messages(205, 10, kLater);
    both.insert(both.end(), after.begin(), after.end());
    CHECK(hand.take_all(both) == 20);
    CHECK(hand.take_all(messages(90, 125, 2 * kLater)) == 125);
    CHECK(hand.take_all(both) == 0);
    books.server().query("SELECT homeward.compact_plain()");
    CHECK(hand.take_all(both) == 0);
    // The server lost its end, and gave it out anew 0.3 s later; an old message is still in a hand.
    std::vector<Sent> mixed = messages(300, 5);
    const std::vector<Sent> anew = messages(305, 5, 300'000);
    mixed.insert(mixed.end(), anew.begin(), anew.end());
    CHECK(hand.take_all(mixed) == 10);
    CHECK(hand.take_all(messages(305, 2)) == 2);
    books.check(11 + 11 + 20 + 125 + 12);
}

TEST_CASE("a consumer of v0.1.0 beside it takes no message twice, nor leaves one to nobody") {
    Books books;
    Hand hand(books.config);
    books.server().query(
        "INSERT INTO homeward.origin (publisher, class, region, app)"
        " VALUES (gen_random_uuid(), 'plain', 'ams', '-');"
        "INSERT INTO homeward.plain_stream (origin, stream, created) SELECT id, '" +
        kStream + "', to_timestamp(0) + " + std::to_string(kCreatedUs) +
        " * interval '1 microsecond' FROM homeward.origin");
    const auto old_claim = [&](std::int64_t seq) {
        const Rows rows = books.server().query(
            "SELECT seq_first FROM homeward.claim_plain((SELECT origin FROM homeward.plain_stream),"
            " '{" +
            std::to_string(seq) + "}', '{" + std::to_string(kCreatedUs + seq * 1'000) +
            "}', '{1}')");
        return rows[0][0];
    };
    CHECK(old_claim(5) == "1");
    CHECK(hand.take_all(messages(1, 10)) == 9);
    CHECK(old_claim(3).empty());
    CHECK(old_claim(11) == "2");
    CHECK(hand.take_all(messages(11, 1)) == 0);
    // In the new one's hands: the old one is to come again.
    hand.pick(messages(20, 5));
    CHECK(hand.reserve() == 5);
    hand.begin();
    CHECK_THROWS_WITH(old_claim(22), Catch::Matchers::Contains("reserved by another"));
    hand.write();
    hand.commit();
    CHECK(old_claim(22).empty());
    CHECK(books.landed() == 14);
}

TEST_CASE("writers that meet at random, roll back and die land every message once") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    Books books;
    constexpr std::int64_t kMessages = 400;
    std::atomic<bool> failed{false};
    std::vector<std::thread> writers;
    for (unsigned id = 0; id < 3; ++id) {
        writers.emplace_back([&, id] {
            std::minstd_rand random(seed + id);
            Hand hand(books.config);
            for (int turn = 0; turn < 60 && !failed; ++turn) {
                std::vector<Sent> sent;
                for (std::int64_t seq = 1 + static_cast<std::int64_t>(random() % kMessages);
                     sent.size() < 60; ++seq) {
                    if (seq > kMessages) break;
                    if (random() % 8 != 0) sent.push_back({seq, kCreatedUs + seq * 1'000});
                }
                if (sent.empty()) continue;
                hand.pick(sent);
                try {
                    hand.reserve();
                    if (random() % 6 == 0) continue;
                    if (!hand.sqlstate_of_begin().empty()) continue;
                    hand.write();
                    const auto end = random() % 6;
                    if (end == 0) {
                        hand.roll_back();
                    } else if (end == 1) {
                        hand.die();
                    } else {
                        hand.commit();
                    }
                } catch (const LeaderError& error) {
                    failed = failed || error.sqlstate() != "55P03";
                }
            }
        });
    }
    std::thread compactions([&] {
        for (int i = 0; i < 30; ++i) {
            books.server().query("SELECT homeward.compact_plain('0')");
            books.server().query("SELECT homeward.compact()");
            sleep_ms(50);
        }
    });
    for (std::thread& writer : writers) writer.join();
    compactions.join();
    CHECK_FALSE(failed);
    Hand(books.config).take_all(messages(1, kMessages));
    books.server().query("SELECT homeward.compact_plain('0')");
    books.check(kMessages);
}
