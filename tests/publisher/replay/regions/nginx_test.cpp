// What nginx does of its own in the platform's place: when it gives up on a write, the Host that it
// hands on, its limits; and the token's header through it. The set-up is end_to_end_test's.

#include <fstream>
#include <thread>

#include "tests/publisher/replay/end_to_end.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a write still being committed when nginx gives up is 504, and not sent again: one row") {
    const TwoRegions regions = two_regions(any_example());
    const std::string item = unique("slow commit");
    std::thread blocker([] {
        databases().leader.query(
            "BEGIN; LOCK TABLE orders IN SHARE MODE; SELECT pg_sleep(4); COMMIT");
    });
    const bool is_blocked = wait_until(10s, [] {
        return databases().leader.number(
                   "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass"
                   " AND mode = 'ShareLock' AND granted") == 1;
    });
    const auto write = regions.edge("ams").Post("/orders", item, kText);
    blocker.join();
    REQUIRE(is_blocked);
    REQUIRE(write);
    CHECK(write->status == 504);
    CHECK_FALSE(write->has_header("Retry-After"));
    CHECK(write->body.find("may have been done") != std::string::npos);
    check_clean(*write);
    CHECK(wait_until(10s, [&] { return rows_of(item) == 1; }));
}

TEST_CASE("the app sees Host with its port, and none that contradicts the request") {
    TwoRegions regions = two_regions({HOMEWARD_EXAMPLE_HTTPLIB, HOMEWARD_EXAMPLE_HTTPLIB});
    regions.process("scl").kill();
    httplib::Server echo;
    const auto tell_host = [](const httplib::Request& request, httplib::Response& response) {
        response.set_content(request.get_header_value("Host"), kText);
    };
    echo.Post("/orders", tell_host);
    echo.Get("/host", tell_host);
    std::thread thread([&] { echo.listen("127.0.0.1", regions.port("scl")); });
    const bool is_up = wait_until(30s, [&] { return echo.is_running(); });
    const auto curl = [&](const std::string& region, const std::vector<std::string>& more) {
        std::vector<std::string> words = {"curl", "-s"};
        words.insert(words.end(), more.begin(), more.end());
        words.push_back(regions.edge_url(region) + (region == "scl" ? "/host" : "/orders"));
        return run_command(words).output;
    };
    const std::string edge = regions.edge_url("scl").substr(7);
    const std::string direct = curl("scl", {});
    const std::string named = curl("scl", {"-H", "Host: Shop.Example:8443"});
    const std::string plain = curl("scl", {"-H", "Host: shop.example"});
    const std::string replayed = curl("ams", {"-d", unique("host")});
    const std::string forged =
        curl("scl", {"--request-target", "http://a.example/host", "-H", "Host: b.example"});
    echo.stop();
    thread.join();
    REQUIRE(is_up);
    CHECK(direct == edge);
    CHECK(named == "Shop.Example:8443");
    CHECK(plain == "shop.example");
    CHECK(replayed == regions.edge_url("ams").substr(7));
    CHECK(forged == "a.example");
}

TEST_CASE("only what may be replayed is limited: not the primary's edge, not a passthrough path") {
    const TwoRegions regions = two_regions(any_example());
    const TempDir dir;
    const std::string name = unique("upload");
    std::ofstream(dir / "large") << name << std::string(1'500'000, 'x');
    const std::vector<std::string> large = {"-H", "Content-Type: text/plain", "--data-binary",
                                            "@" + (dir / "large").string()};
    CHECK(curl_post(regions.edge_url("scl"), large) == "201");
    CHECK(curl_post(regions.edge_url("ams"), large) == "413");
    // The example has no such path: that its app answers is what is shown.
    std::vector<std::string> words = {"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"};
    words.insert(words.end(), large.begin(), large.end());
    words.push_back(regions.edge_url("ams") + "/uploads/orders");
    CHECK(run_command(words).output == "404");
    databases().leader.query("DELETE FROM orders WHERE length(item) > 1000000");
}

TEST_CASE("a client without cookies reads its own write by the token's header") {
    const TwoRegions regions = two_regions(any_example());
    auto client = regions.edge("ams");
    databases().catch_up();
    databases().replica->query("SELECT pg_wal_replay_pause()");
    const std::string item = unique("by header");
    const auto write = client.Post("/orders", item, kText);
    REQUIRE(write);
    const std::string token = write->get_header_value("homeward-seen");
    const auto own = client.Get("/orders/" + write->body, {{"Homeward-Seen", token}});
    const auto forged = client.Get("/orders/" + write->body, {{"Homeward-Seen", token + "0"}});
    databases().replica->query("SELECT pg_wal_replay_resume()");
    CHECK_FALSE(token.empty());
    REQUIRE(own);
    CHECK(own->status == 200);
    CHECK(own->body == item);
    REQUIRE(forged);
    CHECK(forged->status == 404);  // no token: it reads what the replica has
}
