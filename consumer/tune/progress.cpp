#include "consumer/tune/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace homeward::consumer {
namespace {

constexpr std::size_t kBarWidth = 24;

std::string clock_text(double seconds) {
    const int whole = static_cast<int>(std::max(seconds, 0.0) + 0.5);
    std::array<char, 24> text;
    std::snprintf(text.data(), text.size(), "%d:%02d", whole / 60, whole % 60);
    return text.data();
}

}  // namespace

Progress::Progress(std::size_t steps, std::chrono::duration<double> planned)
    : steps_(steps), planned_(planned), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (is_terminal_) std::fprintf(stderr, "\r\033[K");
}

void Progress::begin(const std::string& what) {
    if (is_terminal_) show(last_.empty() ? what : what + "   (" + last_ + ")");
}

void Progress::end(const std::string& result) {
    ++done_;
    last_ = result;
    if (!is_terminal_) show(result);
}

void Progress::show(const std::string& text) const {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began_;
    const std::size_t filled = kBarWidth * done_ / std::max<std::size_t>(steps_, 1);
    const std::string bar = std::string(filled, '#') + std::string(kBarWidth - filled, '-');
    std::fprintf(stderr, "%s[%s] %zu/%zu  ETA %s  %s%s", is_terminal_ ? "\r" : "", bar.c_str(),
                 done_, steps_, clock_text((planned_ - spent).count()).c_str(), text.c_str(),
                 is_terminal_ ? "\033[K" : "\n");
    std::fflush(stderr);
}

}  // namespace homeward::consumer
