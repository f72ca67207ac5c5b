// The status page as a reader meets it: in a real browser, on a desk and on a phone, by day and by
// night, while traffic flows, with an event that would like to be markup.

#include "tests/consumer/status/traffic.hpp"
#include "tests/support/browser.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/http_text.hpp"
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

/// What is wrong with the times under the charts: round, in order, and none upon another.
/// In each second of a minute.
constexpr const char* kTickMistakes = R"(
    const wrong = [], kept = heard;
    for (let second = 0; second < 60; ++second) {
    heard = new Date(kept - 1000 * second);
    $('rows').replaceChildren(chart('rows', [], [['p50', moments.map(m => m.rows)]], short,
      { moments_max: 300, interval_s: 2 }));
    thin();
    for (const row of document.querySelectorAll('.ticks')) {
      const marks = [...row.children].map(e => [e.textContent, e.getBoundingClientRect()]);
      marks.sort((a, b) => a[1].left - b[1].left);
      const last = marks.at(-1), names = marks.map(m => m[0]).join(' ');
      if (last[0] !== 'now' || marks.length < 2) wrong.push('no ticks: ' + names);
      let before = null;
      marks.forEach(([text, box], i) => {
        if (i > 0 && box.left < marks[i - 1][1].right) wrong.push('one upon another: ' + names);
        if (text === 'now') return;
        const time = text.match(/^(\d\d):(\d\d)(?::(\d\d))?/);
        if (!time) return wrong.push('no time: ' + text);
        const seconds = time[1] * 3600 + time[2] * 60 + Number(time[3] || 0);
        if (seconds % 15) wrong.push('not round: ' + text);
        if (before !== null && (seconds - before + 43200) % 43200 > 3600) wrong.push('order: ' + names);
        before = seconds;
      });
    }
    }
    heard = kept;
    return wrong;)";
/// Text whose contrast with what is behind it is below 4.5, and lines and marks below 3 (WCAG 2.1,
/// AA).
constexpr const char* kTooPale = R"(
    const parts = color => color.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const ground = e => {
      for (; e; e = e.parentElement) {
        const color = parts(getComputedStyle(e).backgroundColor);
        if (color.length < 4 || color[3] > 0) return color;
      }
      return [255, 255, 255];
    };
    const pale = [];
    for (const e of document.querySelectorAll('body *')) {
      const style = getComputedStyle(e);
      const has_text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
      const is_line = e.tagName === 'path' && !e.classList.contains('grid');
      const color = is_line ? style.stroke : style.color, least = is_line ? 3 : 4.5;
      if (!(has_text || is_line) || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
      const found = contrast(parts(color), ground(e));
      if (found < least) pale.push(`${e.tagName}.${e.getAttribute('class')} ${found.toFixed(2)} ${e.textContent.slice(0, 30)}`);
      const mark = e.classList.contains('key') && parts(getComputedStyle(e, '::before').backgroundColor);
      if (mark && contrast(mark, ground(e)) < (e.classList.contains('wait') ? 1.3 : 3)) pale.push('mark of ' + e.textContent);
    }
    return [...new Set(pale)];)";

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
        // Streams that answer take a line each, so that the numbers below are on the first screen.
        CHECK(browser.run("return [...document.querySelectorAll('.backlog .item')].every(e =>"
                          " e.getBoundingClientRect().height < 40)") == true);

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

TEST_CASE("a remedy's button copies its command as it is typed, with and without a clipboard") {
    OpenPage page;
    Browser& browser = page.browser;
    REQUIRE(page.shows("#reasons", {"dead-letters list"}));
    const std::string command = nlohmann::json::parse(
        http_text(page.bridge.admin_port(), "/status.json"))["reasons"][0]["command"];
    CHECK(browser.text("#reasons code") == command);
    CHECK(browser.text("#reasons button") == "Copy");
    browser.click("#reasons button");
    CHECK(page.shows("#reasons button", {"Copied"}));
    CHECK(browser.clipboard() == command);
    CHECK(wait_until(10s, [&] { return browser.text("#reasons button") == "Copy"; }));

    // As on a page that is neither of this machine nor has TLS.
    browser.run(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
        "document.addEventListener('copy', () => window.copied = getSelection().toString());");
    browser.click("#reasons button");
    CHECK(page.shows("#reasons button", {"Copied"}));
    CHECK(browser.run("return window.copied") == command);
    CHECK(browser.run("return getSelection().isCollapsed") == true);

    // The links lead to what they say.
    for (const auto& [link, part] :
         {std::pair("metrics", "homeward_rows_total"), std::pair("runbook", "Poison flood")}) {
        const std::string url = browser.run(
            "return document.querySelector('nav a[href=" + std::string(link) + "]').href");
        CHECK_THAT(http_text(page.bridge.admin_port(), url.substr(url.rfind('/'))), Contains(part));
    }

    // One that may not copy at all says so, and leaves the command marked.
    browser.run("document.execCommand = () => false;");
    browser.click("#reasons button");
    CHECK(page.shows("#reasons button", {"copy it yourself"}));
    CHECK(browser.run("return getSelection().toString()") == command);
}

TEST_CASE("charts say value and time where somebody points, and their ticks are round times") {
    OpenPage page;
    Browser& browser = page.browser;
    const Traffic traffic(page.bridge, 1'000);
    CHECK(page.shows("#fresh", {"ams audit", "scl audit"}));
    REQUIRE(wait_until(60s, [&] { return browser.run("return moments.length >= 20") == true; }));

    // At the right edge it says what the chart's head says, to the left what was before.
    CHECK(browser.text("#rows .tip").empty());
    browser.point_at("#rows .plot", 0.995);
    CHECK(page.shows("#rows .tip", {" at "}));
    CHECK(browser.run(
              "const [value] = document.querySelector('#rows .tip').textContent.split(' at ');"
              " return value + ' now' === document.querySelector('#rows .key').textContent"
              " ? '' : value") == "");
    const std::string newest = browser.text("#rows .tip");
    browser.point_at("#rows .plot", 0.9);
    CHECK(wait_until(10s, [&] { return browser.text("#rows .tip") != newest; }));
    CHECK_THAT(browser.text("#rows .tip"), Contains(":") && Contains(" at "));
    // A chart that is drawn anew keeps it; one that has nothing there says so.
    const auto moments = browser.run("return next").get<int>();
    CHECK(wait_until(20s, [&] { return browser.run("return next").get<int>() > moments + 3; }));
    CHECK(page.shows("#rows .tip", {" at "}));
    browser.point_at("#rows .plot", 0.01);
    CHECK(page.shows("#rows .tip", {"– at "}));
    browser.point_at("#fresh .plot", 0.98);
    CHECK(page.shows("#fresh .tip", {"p50 ", "p99 ", "ms", " at "}));
    CHECK(wait_until(10s, [&] { return browser.text("#rows .tip").empty(); }));

    for (const int width : {1100, 375}) {
        INFO(width);
        browser.resize(width, 900);
        for (const double share : {0.005, 0.3, 0.6, 0.995}) {
            browser.point_at("#rows .plot", share);
            CHECK(page.shows("#rows .tip", {" at "}));
            CHECK(browser.run(kTooWide).dump() == "[]");
        }
        CHECK(browser.run(kTickMistakes).dump() == "[]");
    }
}

TEST_CASE("everything on the page can be read by day and by night") {
    OpenPage page;
    Browser& browser = page.browser;
    const Traffic traffic(page.bridge, 1'000);
    CHECK(page.shows("#fresh", {"ams audit", "scl audit"}));
    CHECK(page.shows("#reasons", {"dead letter"}));
    page.bridge.leaf().kill();
    CHECK(page.shows("#health", {"Needs action"}));
    browser.point_at("#rows .plot", 0.9);
    for (const bool dark : {false, true}) {
        INFO(dark);
        browser.prefer_dark(dark);
        CHECK(browser.run(kTooPale).dump(1) == "[]");
    }
    page.bridge.leaf().start();
}
