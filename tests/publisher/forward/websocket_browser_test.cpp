// Orders from a real browser in ams to the leader in scl: Chromium, nginx, the example's app in
// each region, leaf and hub, leader and streaming replica. Whatever ends in the midst of an order
// (the page, the app, the leaf), it is placed exactly once, and the page learns so.

#include <csignal>

#include "tests/publisher/forward/call_regions.hpp"
#include "tests/publisher/replay/regions/two_regions.hpp"
#include "tests/support/browser.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using namespace homeward::testing;
using namespace std::chrono_literals;

namespace {

/// Both regions, and a browser with the page of ams.
class Shop {
  public:
    Shop() {
        servers.leader().query("DROP TABLE orders");
        servers.leader().query(
            "CREATE TABLE orders (id int8 GENERATED ALWAYS AS IDENTITY"
            " PRIMARY KEY, item text NOT NULL)");
        replica = PostgresServer::standby_of(servers.leader());
        ams.environment["HOMEWARD_NATS_URL"] = servers.leaf().url();
        ams.replica_url = replica->url();
        scl.environment["HOMEWARD_NATS_URL"] = servers.hub().url();
        apps = std::make_unique<TwoRegions>(ams, scl);
        browser.open(apps->edge_url("ams") + "/");
        wait_for("#link", "connected");
    }

    void order(const std::string& item) {
        browser.run("document.getElementById('item').value = '" + item + "';");
        browser.click("#order");
        wait_for("#orders", item + ": ");
    }
    void wait_for(const std::string& selector, const std::string& text) {
        const bool is_there =
            wait_until(60s, [&] { return browser.text(selector).find(text) != std::string::npos; });
        INFO(browser.text("body") << "\n" << apps->log("ams") << "\n" << apps->log("scl"));
        REQUIRE(is_there);
    }
    void wait_until_placed(const std::string& item) { wait_for("#orders", item + ": placed"); }
    std::int64_t placed(const std::string& item) {
        return servers.leader().number("SELECT count(*) FROM orders WHERE item = '" + item + "'");
    }

    CallRegions servers;
    std::unique_ptr<PostgresServer> replica;
    AppOptions ams{HOMEWARD_EXAMPLE_WEBSOCKET, "ams", "scl", servers.leader().url(), "", {}};
    AppOptions scl{HOMEWARD_EXAMPLE_WEBSOCKET, "scl", "scl", servers.leader().url(), "", {}};
    std::unique_ptr<TwoRegions> apps;
    Browser browser;
};

/// Orders wait, and their calls with them, as long as it lives.
class OrdersLock {
  public:
    explicit OrdersLock(const PostgresServer& leader)
        : connection_(leader.url()), tx_(connection_) {
        tx_.exec("LOCK TABLE orders IN EXCLUSIVE MODE");
    }
    void wait_for_order(const PostgresServer& leader) const {
        REQUIRE(wait_until(60s, [&] {
            return leader.number(
                       "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation ="
                       " 'orders'::regclass") > 0;
        }));
    }

  private:
    pqxx::connection connection_;
    pqxx::work tx_;
};

}  // namespace

TEST_CASE("a browser in ams places orders over a WebSocket, each once, through all that ends") {
    Shop shop;
    const PostgresServer& leader = shop.servers.leader();

    shop.order("tea");
    // The local replica has it: the page has read it there, with the reply's session token.
    shop.wait_for("#orders", "tea: placed, number 1, read again");

    {  // the page is reloaded in the midst of an order, and asks for it by its key
        const OrdersLock lock(leader);
        shop.order("milk");
        lock.wait_for_order(leader);
        shop.browser.run("location.reload();");
        shop.wait_for("#link", "connected");
        shop.wait_for("#orders", "milk: sent");
    }
    shop.wait_until_placed("milk");

    {  // the app in ams is killed in the midst of one; the page connects again by itself
        const OrdersLock lock(leader);
        shop.order("rice");
        lock.wait_for_order(leader);
        shop.apps->process("ams").kill();
        shop.wait_for("#link", "connecting");
        shop.apps->restart("ams", shop.ams);
    }
    shop.wait_until_placed("rice");

    // Without NATS the order waits in the page.
    shop.servers.leaf().kill();
    shop.order("salt");
    sleep_ms(500);
    CHECK(shop.placed("salt") == 0);
    shop.servers.leaf().start();
    shop.wait_until_placed("salt");

    // The app in ams drains: it finishes what it has, and ends well.
    {
        const OrdersLock lock(leader);
        shop.order("wine");
        lock.wait_for_order(leader);
        shop.apps->process("ams").signal(SIGTERM);
    }
    CHECK(shop.apps->process("ams").wait(30s) == 0);
    shop.apps->restart("ams", shop.ams);
    shop.wait_until_placed("wine");

    for (const char* item : {"tea", "milk", "rice", "salt", "wine"}) {
        INFO(item);
        CHECK(shop.placed(item) == 1);
    }
    CHECK(leader.number("SELECT count(*) FROM orders") == 5);

    leader.query("INSERT INTO orders (item) SELECT 'gold' FROM generate_series(1, 100)");
    shop.order("gold");
    shop.wait_for("#orders", "gold: not placed: gold is sold out");
    CHECK(shop.placed("gold") == 100);
}
