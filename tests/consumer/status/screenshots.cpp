// Takes the pictures of the status page that the README shows: a real consumer with traffic from
// two regions, by day, by night and on a phone. deploy/screenshots/make builds and runs it.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/consumer/status/traffic.hpp"
#include "tests/support/browser.hpp"

namespace {

using namespace homeward::testing;

constexpr double kEventsPerSecond = 6'000;
constexpr int kSecondsDefault = 150;
constexpr int kDeskWidth = 1000, kDeskHeight = 880;
constexpr int kPhoneWidth = 375, kPhoneHeight = 900;

void save(Browser& browser, int height, const std::filesystem::path& file) {
    std::ofstream stream(file, std::ios::binary);
    stream << browser.screenshot(height);
    stream.close();
    if (!stream) throw std::runtime_error("cannot write " + file.string());
    std::printf("%s: %ju bytes\n", file.c_str(),
                static_cast<std::uintmax_t>(std::filesystem::file_size(file)));
}

void take(const std::filesystem::path& directory, int seconds) {
    std::filesystem::create_directories(directory);
    Bridge bridge({{}, {{"HOMEWARD_SOURCES", kTwoRegions}}});
    bridge.start_consumer();
    const Traffic traffic(bridge, kEventsPerSecond);
    Browser browser;
    browser.resize(kDeskWidth, kDeskHeight);
    browser.open("http://127.0.0.1:" + std::to_string(bridge.admin_port()) + "/");
    sleep_ms(1000 * seconds);
    browser.prefer_dark(false);
    save(browser, kDeskHeight, directory / "status-light.png");
    browser.prefer_dark(true);
    save(browser, kDeskHeight, directory / "status-dark.png");
    browser.prefer_dark(false);
    browser.resize(kPhoneWidth, kPhoneHeight);
    save(browser, kPhoneHeight, directory / "status-phone.png");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        std::fprintf(stderr, "usage: homeward_screenshots DIRECTORY [SECONDS]\n");
        return 2;
    }
    try {
        take(argv[1], argc == 3 ? std::atoi(argv[2]) : kSecondsDefault);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "homeward_screenshots: %s\n", error.what());
        return 1;
    }
}
