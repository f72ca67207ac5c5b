// The status page of a running consumer: what it tells of origins, dead letters and limits, also
// when the leader is away.

#include "consumer/status_page.hpp"

#include <nlohmann/json.hpp>

#include "tests/support/bridge.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using homeward::consumer::limiting_factor;

namespace {

nlohmann::json status_of(const Bridge& bridge) {
    const std::string answer = bridge.admin("/status.json");
    const std::size_t body = answer.find("\r\n\r\n");
    return body == std::string::npos ? nlohmann::json()
                                     : nlohmann::json::parse(answer.substr(body + 4));
}

}  // namespace

TEST_CASE("the sentence about the limit names what takes the writers' time") {
    CHECK_THAT(limiting_factor({}), Contains("Nothing has been measured"));
    CHECK_THAT(limiting_factor({10, 0.1, 0.1, 0.1, 0}), Contains("The source"));
    CHECK_THAT(limiting_factor({10, 0.1, 0.1, 0.1, 9}), Contains("The network or NATS"));
    CHECK_THAT(limiting_factor({10, 6, 2, 1, 9}), Contains("Decoding on this machine: 67 %"));
    CHECK_THAT(limiting_factor({10, 1, 8, 1, 9}), Contains("The leader's CPU: 80 %"));
    CHECK_THAT(limiting_factor({10, 1, 2, 7, 9}), Contains("The leader's disk or locks: 70 %"));
}

TEST_CASE("the page loads nothing from anywhere else") {
    const std::string page(homeward::consumer::status_html());
    CHECK_THAT(page, !Contains("http:") && !Contains("https:") && !Contains(" src=") &&
                         !Contains("@import") && !Contains("url("));
    CHECK_THAT(page, Contains("prefers-color-scheme: dark") && Contains("name=\"viewport\""));
}

TEST_CASE("the status names origins, and dead letters with their reasons, or the leader's error") {
    Bridge bridge;
    bridge.start_consumer();
    NatsClient client(bridge.leaf().port());
    for (int i = 0; i < 3; ++i) {
        client.publish("homeward.plain.ams.shop",
                       R"({"type":"audit","actor":"a","action":"b","resource":"r",)"
                       R"("outcome":"allowed"})");
    }
    client.publish("homeward.plain.ams.shop", "<b>no JSON</b>");
    nlohmann::json status;
    const bool told = wait_until(20s, [&] {
        status = status_of(bridge);
        return status.value("rows", 0) == 3 && status["dead_letters"].size() == 1 &&
               status["origins"].size() == 1;
    });
    INFO(status.dump(2));
    REQUIRE(told);
    const auto& origin = status["origins"][0];
    CHECK(origin["region"] == "ams");
    CHECK(origin["accepted"] == 4);
    CHECK(origin["holes"] == 0);
    CHECK(status["dead_letters"][0]["count"] == 1);
    CHECK_FALSE(status["dead_letters"][0]["reason"].get<std::string>().empty());
    CHECK(status["leader_error"].is_null());
    CHECK_THAT(bridge.admin("/"), Contains("Content-Security-Policy: default-src 'none'") &&
                                      Contains("<title>Homeward consumer</title>"));

    bridge.leader().stop();
    CHECK(wait_until(20s, [&] { return status_of(bridge)["leader_error"].is_string(); }));
    CHECK_THAT(bridge.admin("/livez"), Contains("200 OK"));
}
