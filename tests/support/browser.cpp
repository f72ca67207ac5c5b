#include "tests/support/browser.hpp"

#include <httplib.h>

#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// The last one makes the browser end with its driver, however that ends.
json arguments(const std::string& profile) {
    return {"--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--user-data-dir=" + profile,
            "--remote-debugging-pipe"};
}

std::string bytes_of_base64(const std::string& text) {
    std::string bytes;
    unsigned int bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto digit =
            std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
                .find(c);
        if (digit == std::string_view::npos) continue;
        bits = bits << 6 | static_cast<unsigned int>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count & 0xff);
    }
    return bytes;
}

}  // namespace

Browser::Browser() {
    ProcessOptions options;
    options.log = dir_ / "chromedriver.log";
    options.environment = {{"HOME", dir_.path()}, {"TMPDIR", dir_.path()}};
    driver_ = Process({"chromedriver", "--port=" + std::to_string(port_)}, options);
    const bool is_up = wait_until(30s, [this] {
        httplib::Client client("127.0.0.1", port_);
        const auto answer = client.Get("/status");
        return answer && answer->status == 200;
    });
    if (!is_up) {
        throw std::runtime_error("chromedriver did not start:\n" +
                                 read_file(dir_ / "chromedriver.log"));
    }
    const json made =
        call("POST", "/session",
             {{"capabilities",
               {{"alwaysMatch",
                 {{"browserName", "chrome"},
                  {"goog:loggingPrefs", {{"browser", "ALL"}}},
                  {"goog:chromeOptions", {{"args", arguments(dir_ / "profile")}}}}}}}});
    session_ = "/session/" + made["sessionId"].get<std::string>();
}

Browser::~Browser() {
    if (!session_.empty()) {
        httplib::Client client("127.0.0.1", port_);
        client.Delete(session_.c_str());
    }
    driver_.stop();
}

json Browser::call(const std::string& method, const std::string& path, const json& body) {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(60s);
    const auto answer = method == "GET"
                            ? client.Get(path.c_str())
                            : client.Post(path.c_str(), body.dump(), "application/json");
    if (!answer) throw std::runtime_error("chromedriver does not answer at " + path);
    const json value = json::parse(answer->body).at("value");
    if (answer->status != 200) throw std::runtime_error("chromedriver: " + value.dump(2));
    return value;
}

json Browser::devtools(const std::string& command, const json& parameters) {
    return call("POST", session_ + "/goog/cdp/execute", {{"cmd", command}, {"params", parameters}});
}

void Browser::open(const std::string& url) {
    call("POST", session_ + "/url", {{"url", url}});
}

json Browser::run(const std::string& script) {
    return call("POST", session_ + "/execute/sync", {{"script", script}, {"args", json::array()}});
}

std::string Browser::text(const std::string& selector) {
    return run("const e = document.querySelector(" + json(selector).dump() +
               "); return e ? e.innerText : '';")
        .get<std::string>();
}

json Browser::mouse(const std::string& type, double x, double y) {
    const bool is_move = type == "mouseMoved";
    return devtools("Input.dispatchMouseEvent", {{"type", type},
                                                 {"x", x},
                                                 {"y", y},
                                                 {"button", is_move ? "none" : "left"},
                                                 {"clickCount", is_move ? 0 : 1}});
}

void Browser::point_at(const std::string& selector, double share) {
    const json box = run("const e = document.querySelector(" + json(selector).dump() +
                         "); e.scrollIntoView({block: 'center'});"
                         " const b = e.getBoundingClientRect();"
                         " return [b.left, b.top, b.width, b.height];");
    x_ = box[0].get<double>() + share * box[2].get<double>();
    y_ = box[1].get<double>() + box[3].get<double>() / 2;
    mouse("mouseMoved", x_, y_);
}

void Browser::click(const std::string& selector) {
    point_at(selector);
    mouse("mousePressed", x_, y_);
    mouse("mouseReleased", x_, y_);
}

std::string Browser::clipboard() {
    devtools("Browser.grantPermissions",
             {{"permissions", {"clipboardReadWrite", "clipboardSanitizedWrite"}}});
    return run("return navigator.clipboard.readText();").get<std::string>();
}

void Browser::resize(int width, int height) {
    devtools(
        "Emulation.setDeviceMetricsOverride",
        {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", width < 600}});
}

void Browser::prefer_dark(bool dark) {
    devtools(
        "Emulation.setEmulatedMedia",
        {{"features", {{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}}}}});
}

std::string Browser::screenshot(int height) {
    const json clip{
        {"x", 0}, {"y", 0}, {"width", run("return innerWidth;")}, {"height", height}, {"scale", 1}};
    const json taken =
        devtools("Page.captureScreenshot",
                 {{"format", "png"}, {"captureBeyondViewport", true}, {"clip", clip}});
    return bytes_of_base64(taken["data"].get<std::string>());
}

std::vector<std::string> Browser::console_errors() {
    std::vector<std::string> errors;
    for (const json& entry : call("POST", session_ + "/se/log", {{"type", "browser"}})) {
        if (entry["level"] == "SEVERE") errors.push_back(entry["message"].get<std::string>());
    }
    return errors;
}

}  // namespace homeward::testing
