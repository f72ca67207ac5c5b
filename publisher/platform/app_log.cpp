#include "publisher/platform/app_log.hpp"

namespace homeward {
namespace {

constinit thread_local bool is_inside_emit = false;

}  // namespace

AppLog::InsideEmit::InsideEmit() {
    is_inside_emit = true;
}

AppLog::InsideEmit::~InsideEmit() {
    is_inside_emit = false;
}

void AppLog::say(std::string_view line) {
    if (!on_log_) return;
    if (!is_inside_emit) return on_log_(line);
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(line);
}

void AppLog::say_waiting() {
    std::vector<std::string> lines;
    {
        const std::lock_guard lock(mutex_);
        lines.swap(waiting_);
    }
    for (const std::string& line : lines) on_log_(line);
}

}  // namespace homeward
