#include "publisher/platform/child_opener.hpp"

#include <algorithm>
#include <chrono>

#include "publisher/platform/thread_body.hpp"

namespace homeward {
namespace {

constexpr std::chrono::seconds kBackoffMin{1};
constexpr std::chrono::seconds kBackoffMax{60};

}  // namespace

ChildOpener::ChildOpener(Open open, AppLog::OnLog on_log, std::string why)
    : open_(std::move(open)), on_log_(std::move(on_log)), why_(std::move(why)) {
    thread_ = std::thread([this] {
        run_contained("child opener", "this process sends no events", on_log_,
                      [this] { this->run(); });
    });
}

ChildOpener::~ChildOpener() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        wakened_.notify_all();
    }
    thread_.join();
}

void ChildOpener::run() {
    std::string said;
    for (std::chrono::seconds backoff = kBackoffMin;;
         backoff = std::min(2 * backoff, kBackoffMax)) {
        if (why_ != said) {
            say("after fork(), process " + std::to_string(process_) + " (uid " +
                std::to_string(::geteuid()) +
                ") has no publisher, and its events are refused: " + why_);
            said = why_;
        }
        if (!wait_for(backoff)) return;
        why_ = open_();
        if (why_.empty()) break;
    }
    say("process " + std::to_string(process_) + " has a publisher now");
}

/// False: it is to end.
bool ChildOpener::wait_for(std::chrono::seconds time) {
    std::unique_lock lock(mutex_);
    return !wakened_.wait_for(lock, time, [this] { return stopping_; });
}

void ChildOpener::say(const std::string& line) const {
    if (on_log_) on_log_(line);
}

}  // namespace homeward
