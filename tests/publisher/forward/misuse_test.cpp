// What new users get wrong: handlers that commit by themselves. One pair of regions for all tests
// here.

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

CallRegions& regions() {
    static CallRegions regions;
    return regions;
}

void raise(pqxx::work& tx, const std::string& sqlstate) {
    tx.exec("DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '" + sqlstate + "'; END $$");
}

/// Commits by itself, and then goes on as the body says.
std::string commit_by_itself(pqxx::work& tx, const Call& call) {
    place_order(tx, call);
    const std::string body(call.body);
    tx.exec(body.size() == 5 ? "COMMIT; BEGIN" : "COMMIT");
    if (body == "refuses") throw CallFailed("out_of_stock", "no tea");
    if (body == "throws") throw std::runtime_error("the shop burns");
    if (body == "fails in SQL") tx.exec("SELECT 1/0");
    if (body.size() == 5) raise(tx, body);
    if (body == "is late") sleep_ms(1'200);
    return "done";
}

}  // namespace

TEST_CASE("what a handler commits by itself is done once and said, however the handler goes on") {
    const OrderServer server(regions(), regions().server_options(), &commit_by_itself);
    Client primary(regions().client_options());
    int number = 0;
    // SQLSTATEs that let a call run again: a conflict, and a leader without memory.
    for (const char* body :
         {"refuses", "throws", "fails in SQL", "40001", "40P01", "53200", "is late"}) {
        const std::string key = "self-" + std::to_string(++number);
        INFO(body);
        Reply reply = primary.call("order.place", body, {.key = key, .deadline = 1s});
        if (body != std::string("is late")) CHECK(reply.code == "transaction_ended");
        reply = primary.call("order.place", body, {.key = key});
        CHECK(reply.outcome == Outcome::failed);
        CHECK(reply.code == "transaction_ended");
        CHECK(regions().orders(key) == 1);
        CHECK_THAT(regions().log(), Contains("has ended its transaction (key " + key + ")"));
    }
}
