#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <string>

namespace homeward::consumer {

/// On a terminal, so that whoever waits sees how long; nothing in a pipe or a log.
inline void draw_progress(std::size_t done, std::size_t all, const char* unit) {
    constexpr std::size_t kWidth = 40;
    if (::isatty(STDERR_FILENO) != 1) return;
    const std::size_t filled = all == 0 ? kWidth : kWidth * done / all;
    std::fprintf(stderr, "\r[%s%s] %zu of %zu %s%s", std::string(filled, '#').c_str(),
                 std::string(kWidth - filled, '.').c_str(), done, all, unit,
                 done == all ? "\n" : "");
    std::fflush(stderr);
}

}  // namespace homeward::consumer
