#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>

namespace homeward {

/// Runs what a thread of ours, or a callback on a library's thread, has to do. An exception never
/// leaves it, or the host application would end: `on_log` is told of it, with the name of the
/// thread and `consequence`. False then.
template <typename Body>
bool run_contained(std::string_view thread, std::string_view consequence,
                   const std::function<void(std::string_view)>& on_log, Body&& body) noexcept {
    const auto tell = [&](std::string_view what) noexcept {
        try {
            std::string line("homeward thread ");
            line.append(thread).append(": ").append(what).append("; ").append(consequence);
            if (on_log) on_log(line);
        } catch (...) {
            // Out of memory even for the line.
        }
    };
    try {
        body();
        return true;
    } catch (const std::exception& error) {
        tell(error.what());
    } catch (...) {
        tell("unknown exception");
    }
    return false;
}

}  // namespace homeward
