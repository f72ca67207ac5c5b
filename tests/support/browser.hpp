#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace homeward::testing {

/// A real browser without a screen, with a profile of its own: Chromium, led by chromedriver over
/// the WebDriver protocol. Throws std::runtime_error with the driver's words. One thread.
class Browser {
  public:
    Browser();
    ~Browser();
    Browser(const Browser&) = delete;
    Browser& operator=(const Browser&) = delete;

    void open(const std::string& url);
    /// What `return …;` returns.
    nlohmann::json run(const std::string& script);
    /// The text of an element as a reader sees it; empty when it is not there.
    std::string text(const std::string& selector);

    /// As a hand does it: the pointer goes to the element's middle, or to this share of its width.
    void point_at(const std::string& selector, double share = 0.5);
    void click(const std::string& selector);
    /// What the page has put there; it is granted to it, as a user would.
    std::string clipboard();

    /// In CSS pixels, as on a phone when it is narrow.
    void resize(int width, int height);
    void prefer_dark(bool dark);
    /// The page from its top, as wide as the window, as PNG.
    std::string screenshot(int height);
    /// Errors that the console has shown, blocked resources included; each is told once.
    std::vector<std::string> console_errors();

  private:
    nlohmann::json call(const std::string& method, const std::string& path,
                        const nlohmann::json& body = nlohmann::json::object());
    nlohmann::json mouse(const std::string& type, double x, double y);
    nlohmann::json devtools(const std::string& command, const nlohmann::json& parameters);

    TempDir dir_;
    int port_ = free_port();
    Process driver_;
    std::string session_;
    double x_ = 0, y_ = 0;  // the pointer
};

}  // namespace homeward::testing
