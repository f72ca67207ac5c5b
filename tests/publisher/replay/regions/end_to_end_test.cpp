// nginx in front of two regions' apps, a leader and a streaming replica, all real. Most cases run
// with each of the examples in each region.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "tests/publisher/replay/end_to_end.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;

TEST_CASE("a read is served in its region and a write in the primary's, whole and once") {
    const TwoRegions regions = two_regions(any_example());
    auto client = regions.edge("ams");
    const auto read = client.Get("/orders/1");
    REQUIRE(read);
    CHECK(read->status == 200);
    CHECK(read->body == "first");
    CHECK(regions.metric("ams", kReplayed) == 0);

    const std::string item = unique("whole and once");
    const auto write = client.Post("/orders", item, kText);
    REQUIRE(write);
    CHECK(write->status == 201);
    CHECK(rows_of(item) == 1);
    CHECK(regions.metric("ams", kReplayed) == 1);
    check_clean(*write);
    // The replica's half-done answer had a cookie too.
    const auto cookies = cookies_of(*write);
    REQUIRE(cookies.size() == 2);
    CHECK(cookies.count("served_by=scl") == 1);
    CHECK_FALSE(write->has_header("Cache-Control"));
    CHECK(regions.log("ams").find("homeward: POST /orders: it wrote to a read replica") !=
          std::string::npos);

    databases().catch_up();
    const auto again = client.Get("/orders/" + write->body);
    REQUIRE(again);
    CHECK(again->body == item);
}

TEST_CASE("the app's own 409 passes untouched, from the replica and from the primary") {
    const TwoRegions regions = two_regions(any_example());
    auto client = regions.edge("ams");
    const auto here = client.Post("/orders", "first", kText);
    REQUIRE(here);
    CHECK(here->status == 409);
    CHECK(here->body == "ordered already");
    CHECK(cookies_of(*here) == std::set<std::string>{"served_by=ams"});
    CHECK(regions.metric("ams", kReplayed) == 0);

    const std::string item = unique("known to scl only");
    databases().replica->query("SELECT pg_wal_replay_pause()");
    databases().leader.query("INSERT INTO orders (item) VALUES ('" + item + "')");
    const auto there = client.Post("/orders", item, kText);
    databases().replica->query("SELECT pg_wal_replay_resume()");
    REQUIRE(there);
    CHECK(there->status == 409);
    CHECK(there->body == "ordered already");
    CHECK(cookies_of(*there) == std::set<std::string>{"served_by=scl"});
    CHECK(regions.metric("ams", kReplayed) == 1);
}

TEST_CASE("a client cannot claim that it was replayed, nor that its replay has failed") {
    const TwoRegions regions = two_regions(any_example());
    const httplib::Headers forged = {{"fly-replay-src", "region=scl"},
                                     {"fly-replay-failed", "x"},
                                     {"X-Accel-Redirect", "@homeward_replay_scl"}};
    auto client = regions.edge("ams");
    const std::string item = unique("forged");
    const auto write = client.Post("/orders", forged, item, kText);
    REQUIRE(write);
    CHECK(write->status == 201);
    // Without a proxy that strips them they are believed, and only make us refuse.
    for (const char* name : {"fly-replay-src", "fly-replay-failed"}) {
        const auto direct = regions.app("ams").Post("/orders", {{name, "x"}}, item + "!", kText);
        REQUIRE(direct);
        CHECK(direct->status == 503);
        CHECK(direct->has_header("Retry-After"));
    }
}

TEST_CASE(
    "a request of 1 MB is replayed whole, a larger one is refused, with or without a length") {
    const TwoRegions regions = two_regions(any_example());
    auto client = regions.edge("ams");
    const std::string name = unique("large");
    const std::string largest = name + std::string(1'000'000 - name.size(), 'x');
    const auto write = client.Post("/orders", largest, kText);
    REQUIRE(write);
    CHECK(write->status == 201);
    CHECK(databases().leader.number("SELECT length(item) FROM orders WHERE id = " + write->body) ==
          1'000'000);

    const TempDir dir;
    std::ofstream(dir / "too_large") << largest << "x";
    std::ofstream(dir / "small") << "chunked " << name;
    // From 1 MiB on curl would ask of its own accord.
    const std::vector<std::string> too_large = {"--data-binary", "@" + (dir / "too_large").string(),
                                                "-H", "Expect: 100-continue"};
    const std::vector<std::string> small = {"--data-binary", "@" + (dir / "small").string(), "-H",
                                            "Transfer-Encoding: chunked"};
    std::vector<std::string> endless = too_large;
    endless.insert(endless.end(), {"-H", "Transfer-Encoding: chunked"});
    CHECK(curl_post(regions.edge_url("ams"), too_large) == "413");
    CHECK(curl_post(regions.edge_url("ams"), endless) == "413");
    CHECK(curl_post(regions.edge_url("ams"), small) == "201");
    CHECK(rows_of("chunked " + name) == 1);
    CHECK(databases().leader.number("SELECT count(*) FROM orders WHERE length(item) > 1000000") ==
          0);

    // The platform hands over what the client sent; there the app is the one that says so.
    CHECK(curl_post(regions.app_url("ams"), too_large) == "413");
    CHECK(curl_post(regions.app_url("ams"), endless) == "409");
    CHECK(curl_post(regions.app_url("ams"), small) == "409");
    CHECK(regions.metric("ams", "homeward_replay_refused_total{reason=\"body_too_large\"}") == 1);
    CHECK(regions.metric("ams", "homeward_replay_replayed_total{reason=\"length_unknown\"}") == 2);
}

TEST_CASE("an unread body is not taken for the next request") {
    const TwoRegions regions = two_regions(any_example());
    const std::string smuggled = "GET /orders/1 HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const char* length : {"Content-Length: 2000000", "Transfer-Encoding: chunked"}) {
        const std::string answer =
            regions.talk("ams", "POST /orders HTTP/1.1\r\nHost: x\r\n" + std::string(length) +
                                    "\r\n\r\n" + smuggled);
        INFO(answer);
        CHECK(answer.find("HTTP/1.1 4") == 0);
        CHECK(answer.find("HTTP/1.1 200") == std::string::npos);
    }
}

TEST_CASE("a WebSocket is refused in a replica region, with the reason") {
    const TwoRegions regions = two_regions(any_example());
    const httplib::Headers upgrade = {{"Upgrade", "websocket"},
                                      {"Connection", "Upgrade"},
                                      {"Sec-WebSocket-Version", "13"},
                                      {"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}};
    const auto answer = regions.edge("ams").Get("/orders/1", upgrade);
    REQUIRE(answer);
    CHECK(answer->status == 403);
    CHECK(answer->body.find("WebSocket") != std::string::npos);
    CHECK_FALSE(answer->has_header("Retry-After"));
}

TEST_CASE("two regions that each take the other for the primary answer 503, and not for ever") {
    const Example example = any_example();
    AppOptions scl = app_in_ams(example.scl, databases());
    scl.region = "scl";
    scl.primary_region = "ams";
    const TwoRegions regions(app_in_ams(example.ams, databases()), scl);
    const auto write = regions.edge("ams").Post("/orders", "circle", kText);
    REQUIRE(write);
    CHECK(write->status == 503);
    CHECK(write->has_header("Retry-After"));
    check_clean(*write);
    CHECK(regions.metric("ams", kReplayed) == 1);
    CHECK(regions.metric("scl", kReplayed) == 0);
    CHECK(rows_of("circle") == 0);
}

TEST_CASE("an app that asks for a replay whatever it is sent is asked twice, and no more") {
    TwoRegions regions = two_regions({HOMEWARD_EXAMPLE_HTTPLIB, HOMEWARD_EXAMPLE_HTTPLIB});
    regions.process("scl").kill();
    std::atomic<int> asked{0};
    httplib::Server broken;
    broken.Post("/orders", [&](const httplib::Request&, httplib::Response& response) {
        ++asked;
        response.status = 409;
        response.set_header("fly-replay", "region=scl");
        response.set_header("X-Accel-Redirect", "@homeward_replay_scl");
    });
    std::thread thread([&] { broken.listen("127.0.0.1", regions.port("scl")); });
    const bool is_up = wait_until(30s, [&] { return broken.is_running(); });
    const auto write = regions.edge("ams").Post("/orders", "circle", kText);
    broken.stop();
    thread.join();
    REQUIRE(is_up);
    REQUIRE(write);
    CHECK(asked == 1);  // beside the app in ams
    CHECK(write->status == 409);
    check_clean(*write);
}

TEST_CASE("a primary region that is down, or does not answer, is 503 and a time to come again") {
    TwoRegions regions = two_regions(any_example());
    const std::string item = unique("nobody there");
    const auto check_refused = [&](bool is_sent) {
        auto client = regions.edge("ams");
        const auto write = client.Post("/orders", item, kText);
        REQUIRE(write);
        INFO(write->body);
        CHECK(write->status == (is_sent ? 504 : 503));
        CHECK(write->has_header("Retry-After") == !is_sent);
        CHECK(write->body.find(is_sent ? "may have been done" : "primary region was not reached") !=
              std::string::npos);
        check_clean(*write);
        const auto read = client.Get("/orders/1");
        REQUIRE(read);
        CHECK(read->status == 200);
    };
    regions.process("scl").signal(SIGSTOP);
    check_refused(true);  // the kernel has taken it for the app, which may yet wake up
    regions.process("scl").kill();
    check_refused(false);
    CHECK(rows_of(item) == 0);
    CHECK(regions.log("ams").find("the platform says: region=scl; no answer") != std::string::npos);
}

TEST_CASE("a session reads its own write while the replica stands still, others do not wait") {
    const TwoRegions regions = two_regions(any_example());
    auto client = regions.edge("ams");
    databases().catch_up();
    databases().replica->query("SELECT pg_wal_replay_pause()");
    const std::string item = unique("own write");
    const auto write = client.Post("/orders", item, kText);
    REQUIRE(write);
    const httplib::Headers session = session_of(*write);
    const auto own = client.Get("/orders/" + write->body, session);
    const auto of_others = client.Get("/orders/" + write->body);
    databases().replica->query("SELECT pg_wal_replay_resume()");
    REQUIRE(write->status == 201);
    REQUIRE(session.size() == 1);
    REQUIRE(own);
    CHECK(own->status == 200);
    CHECK(own->body == item);
    const std::string behind = "homeward_replay_replayed_total{reason=\"replica_behind\"}";
    CHECK(regions.metric("ams", behind) == 1);
    CHECK(regions.metric("ams", "homeward_replay_stale_avoided_total") == 1);
    REQUIRE(of_others);
    CHECK(of_others->status == 404);

    databases().catch_up();
    const auto later = client.Get("/orders/" + write->body, session);
    REQUIRE(later);
    CHECK(later->body == item);
    CHECK(regions.metric("ams", behind) == 1);
}

namespace {

/// One client's life: writes, and reads back what it wrote, until told to stop.
struct Customer {
    std::map<int, int> statuses;
    std::vector<std::string> wrong;    ///< what must never be
    std::vector<std::string> missing;  ///< 404 for an item that it has written
    std::vector<std::string> written;
    std::chrono::milliseconds longest{0};

    void live(const TwoRegions& regions, const std::string& name, const std::atomic<bool>& stop) {
        auto client = regions.edge("ams");
        for (int n = 0; !stop; ++n) {
            const std::string item = name + " " + std::to_string(n);
            const auto write = timed([&] { return client.Post("/orders", item, kText); });
            if (!judge(write, 201)) continue;
            written.push_back(item);
            const auto read =
                timed([&] { return client.Get("/orders/" + write->body, session_of(*write)); });
            if (read && read->status == 404) {
                missing.push_back(item);
            } else if (judge(read, 200) && read->body != item) {
                wrong.push_back("read " + read->body + " for " + item);
            }
        }
    }

  private:
    template <typename Ask>
    httplib::Result timed(const Ask& ask) {
        const auto begin = std::chrono::steady_clock::now();
        httplib::Result result = ask();
        longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - begin));
        return result;
    }

    bool judge(const httplib::Result& result, int wanted) {
        if (!result) {
            wrong.push_back("no answer: " + httplib::to_string(result.error()));
            return false;
        }
        ++statuses[result->status];
        // 500: the COMMIT that was under way when the leader died, of which nobody knows.
        const bool is_known =
            result->status == wanted || result->status == 503 || result->status == 500;
        if (!is_known) wrong.push_back(std::to_string(result->status) + " " + result->body);
        if (result->status == 503) {
            if (!result->has_header("Retry-After")) wrong.push_back("503 without Retry-After");
            sleep_ms(20);
        }
        return result->status == wanted;
    }
};

}  // namespace

TEST_CASE("through a failover each request is answered, with what is true or with 503") {
    Databases data;
    const Example example{HOMEWARD_EXAMPLE_HTTPLIB, HOMEWARD_EXAMPLE_BEAST};
    AppOptions scl = app_in_scl(example.scl, data);
    // What the app in the primary region is told of both servers, so that it finds the new leader.
    scl.database_url = "postgresql://postgres@127.0.0.1:" + std::to_string(data.leader.port()) +
                       ",127.0.0.1:" + std::to_string(data.replica->port()) +
                       "/postgres?target_session_attrs=read-write";
    const TwoRegions regions(app_in_ams(example.ams, data), scl);
    const auto writes = [&](const std::string& region) {
        const auto answer = regions.edge(region).Post("/orders", unique("probe"), kText);
        return answer && answer->status == 201;
    };

    constexpr int kCustomers = 4;
    std::vector<Customer> customers(kCustomers);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < kCustomers; ++i) {
        threads.emplace_back([&, i] {
            customers[static_cast<std::size_t>(i)].live(regions, "item " + std::to_string(i), stop);
        });
    }
    const bool began = wait_until(60s, [&] { return writes("ams"); });
    sleep_ms(500);
    data.leader.kill();
    const bool refused = wait_until(60s, [&] { return !writes("ams"); });
    sleep_ms(500);
    data.replica->promote();
    const bool ams_writes = wait_until(60s, [&] { return writes("ams"); });
    const bool scl_writes = wait_until(60s, [&] { return writes("scl"); });
    sleep_ms(500);
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(began);
    CHECK(refused);
    CHECK(ams_writes);
    CHECK(scl_writes);

    const auto rows = [&](const std::string& item) {
        return data.replica->number("SELECT count(*) FROM orders WHERE item = '" + item + "'");
    };
    std::map<int, int> statuses;
    for (const Customer& customer : customers) {
        for (const auto& [status, count] : customer.statuses) statuses[status] += count;
        for (const std::string& what : customer.wrong) FAIL_CHECK(what);
        CHECK(customer.longest < 20s);
        // Asynchronous replication may lose the leader's last commits; nothing else may be missing.
        for (const std::string& item : customer.missing) CHECK(rows(item) == 0);
        REQUIRE_FALSE(customer.written.empty());
        CHECK(rows(customer.written.back()) == 1);
    }
    for (const auto& [status, count] : statuses) std::printf("%d: %d\n", status, count);
    CHECK(statuses[503] > 0);
    CHECK(statuses[500] <= kCustomers);
    CHECK(data.replica->number("SELECT count(*) - count(DISTINCT item) FROM orders") == 0);
}
