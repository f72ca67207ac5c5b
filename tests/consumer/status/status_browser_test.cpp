// The status page as a reader meets it: in a real browser, on a desk and on a phone, by day and by
// night, while traffic flows, with an event that would like to be markup.

#include "tests/consumer/status/traffic.hpp"
#include "tests/support/browser.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/servers/nats_client.hpp"

using namespace homeward::testing;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kHostile = "<img src=x onerror=window.evil=1>";

/// Everything that reaches beyond the window, by its text; nothing does, that is.
constexpr const char* kTooWide =
    "return [...document.querySelectorAll('body *')].filter(e => !e.closest('svg')"
    " && e.getBoundingClientRect().right > innerWidth + 0.5)"
    ".map(e => e.tagName + ' ' + e.textContent.slice(0, 60));";
/// How light the page's ground is, 0 to 255.
constexpr const char* kLightness =
    "const c = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);"
    " return (c[0] + c[1] + c[2]) / 3;";

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

class OpenPage {
  public:
    OpenPage() {
        bridge.start_consumer();
        NatsClient client(bridge.leaf().port());
        client.publish("homeward.plain.ams.shop",
                       std::string(R"({"type":")") + kHostile + R"(","actor":"a"})");
        client.publish("homeward.plain.ams.shop", R"({"type":"audit","actor":"a"})");
        browser.resize(1100, 900);
        browser.open("http://127.0.0.1:" + std::to_string(bridge.admin_port()) + "/");
    }
    /// Until the text of an element has all of these.
    bool shows(const std::string& selector, const std::vector<std::string>& parts) {
        return wait_until(60s, [&] {
            const std::string text = browser.text(selector);
            return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
                return text.find(part) != std::string::npos;
            });
        });
    }

    Bridge bridge{{{}, {{"HOMEWARD_SOURCES", kTwoRegions}}}};
    Browser browser;
};

}  // namespace

TEST_CASE("the page shows live traffic, day and night, on desk and phone, and text stays text") {
    OpenPage page;
    Browser& browser = page.browser;
    {
        const Traffic traffic(page.bridge, 2'000);
        CHECK(page.shows("#fresh", {"ams audit", "ams metric", "scl audit", "p50", "p99", "ms"}));
        CHECK(page.shows("#origins", {"ams/shop", "ams/api", "scl/shop", "active", "settled"}));
        CHECK(page.shows(
            "#batches", {"rows each", "waiting for events", "decode", "COPY", "ledger", "COMMIT"}));
        CHECK(page.shows("#backlog", {"HOMEWARD_AUDIT_ams", "HOMEWARD_METRIC_scl", "waiting"}));
        CHECK(page.shows("#limit", {"What limits the system now: The "}));
        CHECK(page.shows("#health", {"Worth a look"}));  // for the letter that is open
        CHECK(page.shows("#reasons", {"dead letter", "homeward-consumer dead-letters list"}));
        CHECK(page.shows("#since", {"version " HOMEWARD_VERSION, "up "}));

        // Numbers and lines move.
        const std::string rows = browser.text("#tiles");
        const auto points = browser.run("return moments.length").get<int>();
        CHECK(wait_until(30s, [&] {
            return browser.text("#tiles") != rows &&
                   browser.run("return moments.length").get<int>() > points;
        }));
        CHECK(browser.run("return document.querySelectorAll('#rows path.p50').length") == 1);
        CHECK(browser.run("return document.querySelector('#rows path.p50')"
                          ".getTotalLength() > 1") == true);

        // What an event says is never markup.
        CHECK(page.shows("#letters", {kHostile}));
        CHECK(browser.run("return document.images.length") == 0);
        CHECK(browser.run("return window.evil === undefined") == true);

        browser.resize(375, 800);
        CHECK(browser.run("return innerWidth") == 375);
        CHECK(browser.run("return document.documentElement.scrollWidth") == 375);
        CHECK(browser.run(kTooWide).dump() == "[]");

        browser.prefer_dark(false);
        CHECK(browser.run(kLightness).get<double>() > 200);
        browser.prefer_dark(true);
        CHECK(browser.run(kLightness).get<double>() < 50);
        const std::string errors = joined(browser.console_errors());
        CHECK(errors == "");
    }
    // Nothing is loaded or run that the page did not bring along.
    CHECK(browser.run("const s = document.createElement('style'); s.textContent ="
                      " 'body{color:red}'; document.head.append(s);"
                      " return getComputedStyle(document.body).color") != "rgb(255, 0, 0)");
    CHECK_THAT(joined(browser.console_errors()), Contains("Content Security Policy"));

    page.bridge.stop_consumer();
    CHECK(page.shows("#health", {"The consumer does not answer"}));
    CHECK(page.shows("#limit", {"Last heard at"}));
}

TEST_CASE("the page of a consumer whose leaf is dead names region, time, backlog and remedy") {
    OpenPage page;
    Browser& browser = page.browser;
    {
        const Traffic traffic(page.bridge, 2'000);
        CHECK(page.shows("#fresh", {"ams audit", "scl audit"}));
        page.bridge.leaf().kill();
        CHECK(page.shows("#health", {"Needs action: region ams does not answer"}));
        CHECK(page.shows("#reasons",
                         {"Region ams has not answered since 20", "UTC", "known to wait there",
                          "Start that region's NATS", "homeward-consumer check"}));
        CHECK(page.shows("#backlog", {"HOMEWARD_AUDIT_ams", "no answer since", "known to wait"}));
        // Others flow.
        const double rows = page.bridge.metric("homeward_rows_total");
        CHECK(wait_until(30s, [&] { return page.bridge.metric("homeward_rows_total") > rows; }));
        CHECK_THAT(page.bridge.admin("/readyz"),
                   Contains("200 OK") && Contains("Region ams has not answered since"));

        // A picture as an operator has it: a whole PNG of this size, with more in it than a ground.
        browser.resize(375, 800);
        const std::string picture = browser.screenshot(800);
        CHECK(picture.substr(0, 8) == "\x89PNG\r\n\x1a\n");
        CHECK(picture.substr(16, 8) == std::string("\0\0\x01\x77\0\0\x03\x20", 8));
        CHECK(picture.size() > 20'000);
        // What is wrong and what waits stands on a phone's first screen.
        CHECK(browser.run("return document.querySelector('#reasons').getBoundingClientRect().top")
                  .get<double>() < 400);
        CHECK(browser.run("return document.querySelector('#backlog').getBoundingClientRect().top"
                          " < document.querySelector('#rows').getBoundingClientRect().top") ==
              true);
        page.bridge.leaf().start();
    }
    CHECK(wait_until(
        60s, [&] { return browser.text("#reasons").find("Region ams") == std::string::npos; }));
    CHECK_THAT(page.bridge.consumer_log(),
               Contains("region ams does not answer") && Contains("region ams answers again"));
}
