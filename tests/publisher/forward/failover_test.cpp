// The leader moves, or is not one: callers are told what is true, and follow.

#include <atomic>
#include <thread>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::forward;
using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string host(const PostgresServer& server) {
    return "127.0.0.1:" + std::to_string(server.port());
}

}  // namespace

TEST_CASE("a server on a standby says so, and runs nothing") {
    CallRegions regions;
    const auto standby = PostgresServer::standby_of(regions.leader());
    ServerOptions options = regions.server_options();
    // Once as libpq finds out, once as the first statement does.
    for (const char* attributes : {"", "?target_session_attrs=any"}) {
        INFO(attributes);
        options.database_url = standby->url() + attributes;
        const OrderServer server(regions, options);
        Client primary(regions.client_options());
        Reply reply;
        // On a busy machine the last of its messages may be without an answer.
        CHECK(wait_until(20s, [&] {
            reply = primary.call("order.place", "tea", {.key = "standby-1", .deadline = 700ms});
            return reply.outcome == Outcome::unavailable;
        }));
        CHECK_THAT(reply.body, Contains("standby") || Contains("read-only"));
    }
    CHECK(regions.orders("standby-1") == 0);
}

TEST_CASE("a leader that only reads is no place for calls, until it writes again") {
    CallRegions regions;
    const OrderServer server(regions);
    Client primary(regions.client_options());
    regions.leader().query("ALTER SYSTEM SET default_transaction_read_only = on");
    regions.leader().query("SELECT pg_reload_conf()");
    CHECK(wait_until(10s, [&] {
        return primary.call("order.place", "x", {.deadline = 300ms}).outcome ==
               Outcome::unavailable;
    }));
    std::thread relief([&] {
        sleep_ms(500);
        regions.leader().query("ALTER SYSTEM RESET default_transaction_read_only");
        regions.leader().query("SELECT pg_reload_conf()");
    });
    const Reply reply = primary.call("order.place", "tea", {.key = "tea-1", .deadline = 20s});
    relief.join();
    CHECK(reply);
    CHECK(regions.orders("tea-1") == 1);
}

TEST_CASE("calls follow a failover, and each of them has its effect once on the new leader") {
    // Method: the leader commits only what its standby has, and is killed while four threads call;
    // then the standby is promoted. The server knows both by one connection string.
    CallRegions regions;
    const auto standby = PostgresServer::standby_of(regions.leader());
    regions.leader().query("ALTER SYSTEM SET synchronous_standby_names = '*'");
    regions.leader().query("SELECT pg_reload_conf()");
    ServerOptions options = regions.server_options();
    options.database_url =
        "postgresql://postgres@" + host(regions.leader()) + "," + host(*standby) + "/postgres";
    const OrderServer server(regions, options);
    Client primary(regions.client_options());
    std::atomic<bool> is_done{false};
    std::atomic<int> placed{0};
    std::atomic<int> others{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            for (int n = 0; !is_done; ++n) {
                const std::string key = std::to_string(i) + "-" + std::to_string(n);
                const Reply reply = primary.call("order.place", key, {.key = key, .deadline = 60s});
                (reply ? placed : others) += 1;
            }
        });
    }
    REQUIRE(wait_until(20s, [&] { return placed > 50; }));
    regions.leader().kill();
    standby->promote();
    const int before = placed;
    CHECK(wait_until(40s, [&] { return placed > before + 100; }));
    is_done = true;
    for (std::thread& thread : threads) thread.join();
    INFO(regions.log());
    CHECK(others == 0);
    CHECK(standby->number("SELECT count(*) FROM orders") == placed);
    CHECK(standby->number("SELECT count(DISTINCT key) FROM orders") == placed);
}

TEST_CASE("a call that runs while leaf and hub restart has its effect once, and is answered") {
    CallRegions regions;
    std::atomic<int> runs{0};
    std::atomic<bool> is_open{false};
    const OrderServer server(regions, regions.server_options(),
                             [&](pqxx::work& tx, const Call& call) {
                                 ++runs;
                                 wait_until(30s, [&] { return is_open.load(); });
                                 return place_order(tx, call);
                             });
    Client primary(regions.client_options());
    Reply reply;
    std::thread caller(
        [&] { reply = primary.call("order.place", "tea", {.key = "both-1", .deadline = 60s}); });
    CHECK(wait_until(20s, [&] { return runs == 1; }));
    regions.leaf().kill();
    regions.hub().kill();
    regions.hub().start(NatsServer::Until::serving);
    regions.leaf().start(NatsServer::Until::serving);
    is_open = true;
    caller.join();
    INFO(name_of(reply.outcome) << " " << reply.body << "\n" << regions.log());
    CHECK(reply);
    CHECK(reply.body == "placed tea");
    CHECK(regions.orders("both-1") == 1);
}

TEST_CASE("a call that a frozen leaf has held runs late, and an abandoned one does not") {
    CallRegions regions;
    const OrderServer server(regions);
    Client primary(regions.client_options());
    ClientOptions options = regions.client_options();
    options.connection.nats_urls = {regions.hub().url()};
    options.connection.region = "scl";
    Client beside_leader(options);
    REQUIRE(primary.call("order.place", "tea", {.key = "before-1"}));
    regions.leaf().freeze();
    sleep_ms(300);  // until all its threads have stopped
    for (const char* key : {"held-1", "held-2"}) {
        const Reply reply = primary.call("order.place", "tea", {.key = key, .deadline = 500ms});
        CHECK(reply.outcome == Outcome::in_doubt);
        CHECK(reply.attempts > 0);
    }
    CHECK(beside_leader.outcome("held-1").outcome == Outcome::not_found);
    CHECK(beside_leader.abandon("held-2").outcome == Outcome::abandoned);
    regions.leaf().thaw();
    CHECK(wait_until(20s, [&] { return beside_leader.outcome("held-1").outcome == Outcome::ok; }));
    // In order: the leaf has passed on the other one, too.
    CHECK(primary.call("order.place", "tea", {.key = "after-1"}));
    CHECK(primary.outcome("held-2").outcome == Outcome::abandoned);
    CHECK(regions.orders("held-1") == 1);
    CHECK(regions.orders("held-2") == 0);
}

TEST_CASE("a call that runs is not refused when its login loses the right to call") {
    CallRegions regions;
    HeldOrders held;
    const OrderServer server(regions, regions.server_options(), held.handler());
    const auto permit = [&](const std::string& publish) {
        regions.leaf().reload(
            "authorization { users: [{user: shop, password: x, permissions:"
            " {publish: " +
            publish + ", subscribe: \">\"}}] }");
    };
    permit("\">\"");
    ClientOptions patient = regions.client_options();
    patient.connection.nats_urls = {"nats://shop:x@127.0.0.1:" +
                                    std::to_string(regions.leaf().port())};
    patient.retry_after = 60s;
    Client primary(patient);
    Reply running;
    std::thread caller([&] {
        running = primary.call("order.place", "tea", {.key = "running-1", .deadline = 60s});
    });
    held.wait_for(1);
    permit("{deny: \"homeward.call.ams.shop.order.place\"}");
    CHECK(wait_until(20s, [&] {
        static_cast<void>(primary.call("order.place", "x", {.key = "denied-1", .deadline = 300ms}));
        return regions.log().find("ermissions Violation") != std::string::npos;
    }));
    held.release();
    caller.join();
    INFO(name_of(running.outcome) << " " << running.body << "\n" << regions.log());
    CHECK(running);
    CHECK(regions.orders("running-1") == 1);
    // A new connection has only messages that are denied.
    Client late(patient);
    CHECK(late.call("order.place", "x", {.key = "denied-2"}).outcome == Outcome::refused);
    CHECK(regions.orders("denied-2") == 0);
}

TEST_CASE("a server that loses NATS while it closes says that answers were not sent") {
    CallRegions regions;
    HeldOrders held;
    OrderServer server(regions, regions.server_options(), held.handler());
    Client primary(regions.client_options());
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&, i] {
            static_cast<void>(primary.call("order.place", "tea",
                                           {.key = "last-" + std::to_string(i), .deadline = 20s}));
        });
    }
    held.wait_for(2);
    std::atomic<bool> is_whole{true};
    std::thread closer([&] { is_whole = server->close(10s); });
    sleep_ms(300);
    regions.hub().kill();
    sleep_ms(300);
    held.release();
    closer.join();
    CHECK_FALSE(is_whole);
    CHECK_THAT(regions.log(), Contains("answers were not sent"));
    for (int i = 0; i < 2; ++i) CHECK(regions.orders("last-" + std::to_string(i)) == 1);
    // What they did is found by the next server.
    regions.hub().start(NatsServer::Until::serving);
    const OrderServer next(regions);
    for (std::thread& thread : threads) thread.join();
    CHECK(primary.call("order.place", "tea", {.key = "last-0"}).was_stored);
}

TEST_CASE("two apps of one name with a database each do not know each other's keys") {
    // Method: their servers take turns, so that the retry meets the other one.
    CallRegions regions;
    query_at("postgresql://postgres@" + host(regions.leader()) + "/template1",
             "CREATE DATABASE other TEMPLATE postgres");
    ServerOptions options = regions.server_options();
    const std::string other = "postgresql://postgres@" + host(regions.leader()) + "/other";
    Client primary(regions.client_options());
    for (const std::string& url : {options.database_url, other, options.database_url}) {
        INFO(url);
        options.database_url = url;
        const OrderServer server(regions, options);
        const Reply reply = primary.call("order.place", "tea", {.key = "shared-1"});
        CHECK(reply);
        const std::string count = "SELECT count(*) FROM orders WHERE key = 'shared-1'";
        CHECK(query_at(url, count) == Rows{{"1"}});
        CHECK(primary.call("order.place", "tea", {.key = "shared-1"}).was_stored);
    }
    // Once in each.
    CHECK(query_at(other, "SELECT count(*) FROM orders") == Rows{{"1"}});
    CHECK(regions.orders("shared-1") == 1);
}

TEST_CASE("a leader that freezes for good holds no worker, and its standby is followed") {
    // Method: it freezes in the middle of a handler, whose next statement gets no answer; another
    // call finds it frozen.
    CallRegions regions;
    const auto standby = PostgresServer::standby_of(regions.leader());
    ServerOptions options = regions.server_options();
    options.workers = 2;
    options.database_url =
        "postgresql://postgres@" + host(regions.leader()) + "," + host(*standby) + "/postgres";
    std::atomic<bool> is_in_handler{false};
    std::atomic<bool> is_frozen{false};
    auto server =
        std::make_unique<OrderServer>(regions, options, [&](pqxx::work& tx, const Call& call) {
            if (call.key == "frozen-1" && !is_in_handler.exchange(true)) {
                wait_until(20s, [&] { return is_frozen.load(); });
            }
            return place_order(tx, call);
        });
    Client primary(regions.client_options());
    REQUIRE(primary.call("order.place", "tea", {.key = "before-1", .deadline = 10s}));
    std::thread caller([&] {
        static_cast<void>(primary.call("order.place", "tea", {.key = "frozen-1", .deadline = 3s}));
    });
    CHECK(wait_until(20s, [&] { return is_in_handler.load(); }));
    regions.leader().freeze();
    is_frozen = true;
    CHECK_FALSE(primary.call("order.place", "tea", {.key = "frozen-2", .deadline = 1s}));
    caller.join();
    standby->promote();
    CHECK(wait_until(20s, [&] { return (*server)->stats().running == 0; }));
    Reply reply;
    CHECK(wait_until(30s, [&] {
        reply = primary.call("order.place", "tea", {.key = "after-1", .deadline = 2s});
        return reply.outcome == Outcome::ok;
    }));
    INFO(reply.body << regions.log());
    CHECK(standby->number("SELECT count(*) FROM orders WHERE key = 'after-1'") == 1);
    const auto began = std::chrono::steady_clock::now();
    server.reset();
    CHECK(std::chrono::steady_clock::now() - began < 15s);
    regions.leader().thaw();
}

TEST_CASE("a connection that waits for a late handler is left alone while the leader lives") {
    // Method: the handler ends its transaction, or the leader itself would end the session.
    CallRegions regions;
    ServerOptions options = regions.server_options();
    options.workers = 1;
    Server server(options);
    std::atomic<bool> is_done{false};
    server.on("order.think", [&](pqxx::work& tx, const Call&) {
        tx.exec("COMMIT");
        sleep_ms(6'000);
        is_done = true;
        return std::string();
    });
    server.on("order.pid", [](pqxx::work& tx, const Call&) {
        return tx.exec("SELECT pg_backend_pid()")[0][0].as<std::string>();
    });
    server.start();
    Client primary(regions.client_options());
    Reply before;
    CHECK(wait_until(20s, [&] {
        before = primary.call("order.pid", "", {.deadline = 2s});
        return before.outcome == Outcome::ok;
    }));
    CHECK_FALSE(primary.call("order.think", "", {.deadline = 1s}));
    CHECK(wait_until(20s, [&] { return is_done.load(); }));
    const Reply after = primary.call("order.pid", "", {.deadline = 5s});
    CHECK(after.body == before.body);
}
