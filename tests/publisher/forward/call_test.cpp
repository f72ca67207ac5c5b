// One call from ams to the leader in scl, through leaf and hub, and everything that may go wrong
// with it while all servers are up. One pair of regions for all tests here.

#include <atomic>
#include <thread>

#include "publisher/forward/call_channel.hpp"
#include "publisher/forward/call_wire.hpp"
#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

CallRegions& regions() {
    static CallRegions regions;
    return regions;
}

/// A message as a client sends it, but with any header; its answer's header and body.
std::pair<Answer, std::string> raw_call(const std::string& header, const std::string& body) {
    std::mutex mutex;
    std::optional<std::pair<Answer, std::string>> came;
    const ClientOptions options = regions().client_options();
    CallChannel channel(options.connection, options.connection.nats_urls[0], false, kReplyHeader,
                        {[&](const Received& message) {
                             const std::lock_guard lock(mutex);
                             came = {parse_reply_header(message.header).value_or(Answer{}),
                                     std::string(message.body)};
                         },
                         nullptr, [](std::string_view) {}, [] {}});
    channel.subscribe("_INBOX.homeward.ams.shop.raw", "");
    channel.publish({call_subject("ams", "shop", "order.place"), "_INBOX.homeward.ams.shop.raw",
                     kCallHeader, header, body});
    REQUIRE(wait_until(10s, [&] {
        const std::lock_guard lock(mutex);
        return came.has_value();
    }));
    const std::lock_guard lock(mutex);
    return *came;
}

std::chrono::microseconds unix_time() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace

TEST_CASE("a call runs once, and a retry with its key gets the stored reply") {
    const OrderServer server(regions());
    Client primary(regions().client_options());
    const Reply first = primary.call("order.place", "tea", {.key = "tea-1", .deadline = 5s});
    INFO(first.body << regions().log());
    REQUIRE(first);
    CHECK(first.body == "placed tea");
    CHECK(first.key == "tea-1");
    CHECK_FALSE(first.was_stored);
    CHECK(first.attempts == 1);
    const Reply again = primary.call("order.place", "tea", {.key = "tea-1"});
    REQUIRE(again);
    CHECK(again.body == "placed tea");
    CHECK(again.was_stored);
    CHECK(regions().orders("tea-1") == 1);
    CHECK(primary.outcome("tea-1").body == "placed tea");
    CHECK(regions().leader().query("SELECT region, app, operation, outcome FROM"
                                   " homeward.forwarded_call WHERE key = 'tea-1'") ==
          Rows{{"ams", "shop", "order.place", "ok"}});
    // Without a key each call is one of its own.
    CHECK(primary.call("order.place", "milk"));
    CHECK(primary.call("order.place", "milk"));
    CHECK(regions().leader().number("SELECT count(*) FROM orders WHERE item = 'milk'") == 2);
}

TEST_CASE("bytes of any value come back as they went, from the handler and from the table") {
    const OrderServer echo(regions(), regions().server_options(),
                           [](pqxx::work&, const Call& call) { return std::string(call.body); });
    Client primary(regions().client_options());
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    CHECK(primary.call("order.place", bytes, {.key = "bytes"}).body == bytes);
    const Reply stored = primary.call("order.place", bytes, {.key = "bytes"});
    CHECK(stored.was_stored);
    CHECK(stored.body == bytes);
    CHECK(primary.call("order.place", "", {.key = "nothing"}).body.empty());
}

TEST_CASE("a key that was used for another operation or body is refused, and what for is named") {
    const OrderServer server(regions());
    Server cancels(regions().server_options());
    cancels.on("order.cancel", [](pqxx::work&, const Call&) { return ""; });
    cancels.start();
    Client primary(regions().client_options());
    REQUIRE(primary.call("order.place", "rice", {.key = "rice-1"}));
    const Reply body = primary.call("order.place", "salt", {.key = "rice-1"});
    CHECK(body.outcome == Outcome::refused);
    CHECK_THAT(body.body, Contains("\"rice-1\" was used for another body of \"order.place\""));
    Reply operation;
    CHECK(wait_until(10s, [&] {
        operation = primary.call("order.cancel", "rice", {.key = "rice-1"});
        return operation.outcome != Outcome::no_responders;
    }));
    CHECK(operation.outcome == Outcome::refused);
    CHECK_THAT(operation.body, Contains("was used for the operation \"order.place\""));
    CHECK(regions().orders("rice-1") == 1);
    CHECK(primary.call("order.place", "x", {.key = "two words"}).outcome == Outcome::refused);
    CHECK(primary.call("Order", "x").outcome == Outcome::refused);
    CHECK(primary.call("_abandon", "x").outcome == Outcome::refused);
}

TEST_CASE("a handler that throws undoes its call, and a retry gets the same failure") {
    std::atomic<int> runs{0};
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) -> std::string {
                                 ++runs;
                                 place_order(tx, call);
                                 if (call.body == "own") throw CallFailed("out_of_stock", "no tea");
                                 if (call.body == "sql") tx.exec("SELECT 1/0");
                                 if (call.body == "int") throw 42;
                                 if (call.body == "on") {
                                     try {
                                         tx.exec("SELECT 1/0");
                                     } catch (const pqxx::sql_error&) {
                                         return "as if nothing were";
                                     }
                                 }
                                 throw std::runtime_error("the shop burns");
                             });
    Client primary(regions().client_options());
    const struct {
        const char* body;
        const char* code;
        const char* text;
    } cases[] = {{"own", "out_of_stock", "no tea"},
                 {"sql", "22012", "division by zero"},
                 {"int", "exception", "no std::exception"},
                 {"on", "transaction_aborted", "went on after a failed statement"},
                 {"any", "exception", "the shop burns"}};
    for (const auto& [body, code, text] : cases) {
        INFO(body);
        const std::string key = std::string("throws-") + body;
        for (const bool is_retry : {false, true}) {
            const Reply reply = primary.call("order.place", body, {.key = key});
            CHECK(reply.outcome == Outcome::failed);
            CHECK(reply.code == code);
            CHECK_THAT(reply.body, Contains(text));
            CHECK(reply.was_stored == is_retry);
        }
        CHECK(regions().orders(key) == 0);
    }
    CHECK(runs == 5);
}

TEST_CASE("a handler that ends its transaction by itself is found out, and never runs twice") {
    std::atomic<int> runs{0};
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) {
                                 ++runs;
                                 place_order(tx, call);
                                 if (call.body == "commit()") tx.commit();
                                 if (call.body == "COMMIT") tx.exec("COMMIT");
                                 if (call.body == "COMMIT; BEGIN") tx.exec("COMMIT; BEGIN");
                                 return "done";
                             });
    Client primary(regions().client_options());
    int expected = 0;
    for (const char* body : {"commit()", "COMMIT", "COMMIT; BEGIN"}) {
        INFO(body);
        const std::string key = "ends-" + std::to_string(++expected);
        for (int i = 0; i < 2; ++i) {
            const Reply reply = primary.call("order.place", body, {.key = key});
            CHECK(reply.outcome == Outcome::failed);
            CHECK(reply.code == "transaction_ended");
        }
        CHECK(runs == expected);
        CHECK_THAT(regions().log(), Contains("has ended its transaction (key " + key));
    }
}

TEST_CASE("a handler that hangs is ended by the deadline, in SQL and outside of it") {
    const OrderServer server(regions(), regions().server_options(),
                             [](pqxx::work& tx, const Call& call) {
                                 place_order(tx, call);
                                 if (call.body == "sql") tx.exec("SELECT pg_sleep(20)");
                                 if (call.body == "code") sleep_ms(1'500);
                                 return "late";
                             });
    Client primary(regions().client_options());
    for (const char* body : {"sql", "code"}) {
        INFO(body);
        const std::string key = std::string("hangs-") + body;
        const auto began = std::chrono::steady_clock::now();
        const Reply reply = primary.call("order.place", body, {.key = key, .deadline = 1s});
        CHECK(std::chrono::steady_clock::now() - began < 1'400ms);
        // The statement is ended in time to say so; a thread cannot be ended.
        CHECK(reply.outcome == (body == std::string("sql") ? Outcome::expired : Outcome::in_doubt));
        CHECK(primary.abandon(key).outcome == Outcome::abandoned);
        CHECK(regions().orders(key) == 0);
    }
}

TEST_CASE("an abandoned call never runs, and a committed one stays committed") {
    const OrderServer server(regions());
    Client primary(regions().client_options());
    CHECK(primary.outcome("never-1").outcome == Outcome::not_found);
    CHECK(primary.abandon("never-1").outcome == Outcome::abandoned);
    CHECK(primary.call("order.place", "late", {.key = "never-1"}).outcome == Outcome::abandoned);
    CHECK(primary.outcome("never-1").outcome == Outcome::abandoned);
    CHECK(regions().orders("never-1") == 0);
    REQUIRE(primary.call("order.place", "soon", {.key = "soon-1"}));
    const Reply reply = primary.abandon("soon-1");
    CHECK(reply.outcome == Outcome::ok);
    CHECK(reply.body == "placed soon");
}

TEST_CASE("two servers with one call at once run it once, and both give its reply") {
    const auto slow = [](pqxx::work& tx, const Call& call) {
        sleep_ms(300);
        return place_order(tx, call);
    };
    const OrderServer first(regions(), regions().server_options(), slow);
    const OrderServer second(regions(), regions().server_options(), slow);
    // Each client sends to either server; six at once meet both.
    std::vector<std::thread> threads;
    std::atomic<int> placed{0};
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&] {
            Client primary(regions().client_options());
            const Reply reply = primary.call("order.place", "bread", {.key = "bread-1"});
            placed += reply && reply.body == "placed bread";
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(placed == 6);
    CHECK(regions().orders("bread-1") == 1);
}

TEST_CASE("calls that collide in the database are run again until they pass") {
    regions().leader().query(
        "CREATE TABLE stock (id int PRIMARY KEY, n int);"
        "INSERT INTO stock VALUES (1, 0), (2, 0)");
    const OrderServer server(
        regions(), regions().server_options(), [](pqxx::work& tx, const Call& call) {
            // In opposite orders: each pair of them is a deadlock.
            const bool is_up = call.body == "up";
            tx.exec(std::string("UPDATE stock SET n = n + 1 WHERE id = ") + (is_up ? "1" : "2"));
            sleep_ms(100);
            tx.exec(std::string("UPDATE stock SET n = n + 1 WHERE id = ") + (is_up ? "2" : "1"));
            return "";
        });
    Client primary(regions().client_options());
    std::vector<std::thread> threads;
    std::atomic<int> done{0};
    for (const char* way : {"up", "down"}) {
        threads.emplace_back([&, way] {
            done += primary.call("order.place", way, {.deadline = 30s}).outcome == Outcome::ok;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(done == 2);
    CHECK(regions().leader().query("SELECT n FROM stock") == Rows{{"2"}, {"2"}});
}

TEST_CASE("an overloaded server answers at once, and the client waits for its turn") {
    ServerOptions options = regions().server_options();
    options.workers = 1;
    options.queue_max = 1;
    OrderServer server(regions(), options, [](pqxx::work& tx, const Call& call) {
        sleep_ms(300);
        return place_order(tx, call);
    });
    Client primary(regions().client_options());
    std::vector<std::thread> threads;
    std::atomic<int> placed{0};
    for (int i = 0; i < 5; ++i) {
        threads.emplace_back(
            [&] { placed += bool(primary.call("order.place", "rush", {.deadline = 60s})); });
    }
    // With less patience than it takes.
    REQUIRE(wait_until(10s, [&] { return server->stats().of(Outcome::busy) > 0; }));
    const auto began = std::chrono::steady_clock::now();
    const Reply busy = primary.call("order.place", "x", {.key = "x-1", .deadline = 100ms});
    CHECK(std::chrono::steady_clock::now() - began < 400ms);
    CHECK((busy.outcome == Outcome::busy || busy.outcome == Outcome::expired ||
           busy.outcome == Outcome::in_doubt));
    for (std::thread& thread : threads) thread.join();
    CHECK(placed == 5);
    CHECK(regions().leader().number("SELECT count(*) FROM orders WHERE item = 'rush'") == 5);
}

TEST_CASE(
    "the time left decides, not a clock that is an hour off; an expired call is not started") {
    std::atomic<int> runs{0};
    const OrderServer server(regions(), regions().server_options(),
                             [&](pqxx::work& tx, const Call& call) {
                                 ++runs;
                                 return place_order(tx, call);
                             });
    const auto [late, late_body] =
        raw_call(write_call_header({"clock-1", unix_time() - 1h, 5s}), "past");
    CHECK(late.outcome == Outcome::ok);
    CHECK_THAT(regions().log(), Contains("the clock of region ams is 36"));
    CHECK(runs == 1);
    const auto [gone, gone_body] =
        raw_call(write_call_header({"clock-2", unix_time() + 1h, 0s}), "x");
    CHECK(gone.outcome == Outcome::expired);
    CHECK(runs == 1);
    const auto [newer, newer_body] = raw_call("2 something else", "x");
    CHECK(newer.outcome == Outcome::unavailable);  // not final: another server may know it
}

TEST_CASE("bodies and replies beyond the limits are refused, and nothing is done") {
    ServerOptions options = regions().server_options();
    options.reply_bytes_max = 100'000;
    const OrderServer server(regions(), options, [](pqxx::work& tx, const Call& call) {
        place_order(tx, call);
        return std::string(static_cast<std::size_t>(std::stoi(std::string(call.body))), 'r');
    });
    Client primary(regions().client_options());
    const Reply fits = primary.call("order.place", "100000");
    CHECK(fits);
    CHECK(fits.body.size() == 100'000);
    const Reply large = primary.call("order.place", "2000000", {.key = "large-1"});
    CHECK(large.outcome == Outcome::failed);
    CHECK(large.code == "reply_too_large");
    CHECK_THAT(large.body, Contains("2000000 bytes; at most 100000"));
    CHECK(regions().orders("large-1") == 0);
    const Reply body = primary.call("order.place", std::string(2'000'000, 'b'));
    CHECK(body.outcome == Outcome::refused);
    CHECK_THAT(body.body, Contains("the body has 2000000 bytes"));
}

TEST_CASE(
    "an operation that nobody serves is said at once, as is a NATS server that is not there") {
    const OrderServer server(regions());
    Client primary(regions().client_options());
    const auto began = std::chrono::steady_clock::now();
    const Reply nobody = primary.call("order.refund", "x", {.deadline = 20s});
    CHECK(nobody.outcome == Outcome::no_responders);
    CHECK(std::chrono::steady_clock::now() - began < 10s);
    ClientOptions elsewhere = regions().client_options();
    elsewhere.connection.nats_urls = {"nats://127.0.0.1:" + std::to_string(free_port())};
    Client lonely(elsewhere);
    const Reply nowhere = lonely.call("order.place", "x", {.deadline = 200ms});
    CHECK(nowhere.outcome == Outcome::unavailable);
    CHECK_THAT(nowhere.body, Contains("nothing was sent"));
}

TEST_CASE("a server that closes finishes and answers what it has taken") {
    ServerOptions options = regions().server_options();
    options.workers = 2;
    OrderServer server(regions(), options, [](pqxx::work& tx, const Call& call) {
        sleep_ms(200);
        return place_order(tx, call);
    });
    Client primary(regions().client_options());
    std::vector<std::thread> threads;
    std::atomic<int> placed{0};
    for (int i = 0; i < 6; ++i) {
        threads.emplace_back([&, i] {
            const Reply reply = primary.call("order.place", "last",
                                             {.key = "last-" + std::to_string(i), .deadline = 5s});
            placed += bool(reply) && reply.body == "placed last";
        });
    }
    REQUIRE(wait_until(10s, [&] { return server->stats().queued == 4; }));
    CHECK(server->close(10s));
    for (std::thread& thread : threads) thread.join();
    CHECK(placed == 6);
    CHECK(regions().leader().number("SELECT count(*) FROM orders WHERE item = 'last'") == 6);
}

TEST_CASE("options that can never work are refused with what to change") {
    ServerOptions options = regions().server_options();
    options.connection.app = "My Shop";
    CHECK_THROWS_WITH(Server(options), Contains("app is \"My Shop\""));
    options = regions().server_options();
    options.database_url.clear();
    CHECK_THROWS_WITH(Server(options), Contains("no database_url"));
    options = regions().server_options();
    options.token_keys = {{"k1", "short"}};
    CHECK_THROWS_WITH(Server(options), Contains("32 bytes"));
    Server server(regions().server_options());
    server.on("order.place", &place_order);
    CHECK_THROWS_WITH(server.on("order.place", &place_order), Contains("is there twice"));
    CHECK_THROWS_WITH(server.on("_own", &place_order), Contains("is not valid"));
    ClientOptions client = regions().client_options();
    client.connection.region.clear();
    CHECK_THROWS_WITH(Client(client), Contains("region is \"\""));
}
