// How long keys are remembered: the day partitions that a running server creates and drops.

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// A partition of `age` days ago, with one key in it.
void make_day(const PostgresServer& leader, int age, const std::string& key) {
    const std::string day = "((now() AT TIME ZONE 'UTC')::date - " + std::to_string(age) + ")";
    leader.query("DO $$ BEGIN EXECUTE format('CREATE TABLE homeward.old_" + std::to_string(age) +
                 " PARTITION OF homeward.forwarded_call FOR VALUES FROM (%L) TO (%L)', " + day +
                 ", " + day + " + 1); END $$");
    leader.query(
        "INSERT INTO homeward.forwarded_call (app, key, day, region, operation, digest, outcome,"
        " code, reply) VALUES ('shop', '" +
        key + "', " + day +
        ", 'ams', 'order.place', sha256(E'order.place\\ntea'), 'ok', '', 'placed then')");
    // And a call whose handler has committed by itself.
    leader.query("INSERT INTO homeward.call_claim VALUES ('shop', 'left-" + std::to_string(age) +
                 "', " + day + ", 'ams', 'order.place', sha256(E'order.place\\ntea'))");
}

std::int64_t days(const PostgresServer& leader) {
    return leader.number("SELECT count(*) FROM homeward.day_partitions('homeward.forwarded_call')");
}

}  // namespace

TEST_CASE("a server forgets the keys of days past their retention, and remembers the others") {
    CallRegions regions;
    for (const int age : {7, 8, 9}) make_day(regions.leader(), age, "old-" + std::to_string(age));
    const OrderServer server(regions);
    // Today, the next two days, and the oldest that must stay.
    CHECK(wait_until(30s, [&] { return days(regions.leader()) == 4; }));
    Client primary(regions.client_options());
    const Reply remembered = primary.call("order.place", "tea", {.key = "old-7"});
    CHECK(remembered.was_stored);
    CHECK(remembered.body == "placed then");
    CHECK(primary.call("order.place", "tea", {.key = "left-7"}).code == "transaction_ended");
    for (const char* key : {"old-8", "old-9", "left-8", "left-9"}) {
        CHECK(primary.outcome(key).outcome == Outcome::not_found);
    }
    CHECK(regions.orders("old-7") == 0);
}

TEST_CASE("a day without a partition gets one by the first call, which has its effect once") {
    CallRegions regions;
    const OrderServer server(regions);
    REQUIRE(wait_until(30s, [&] { return days(regions.leader()) == 3; }));
    regions.leader().query(
        "DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP TABLE %s', part), ';')"
        " FROM homeward.day_partitions('homeward.forwarded_call')); END $$");
    REQUIRE(days(regions.leader()) == 0);
    Client primary(regions.client_options());
    const Reply reply = primary.call("order.place", "tea", {.key = "midnight-1"});
    INFO(reply.body << regions.log());
    CHECK(reply);
    CHECK(primary.call("order.place", "tea", {.key = "midnight-1"}).was_stored);
    CHECK(regions.orders("midnight-1") == 1);
}
