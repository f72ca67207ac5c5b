#include "consumer/status/poller.hpp"

#include <utility>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

/// A page asks every two seconds; a browser tab in the background less often.
constexpr auto kWantedFor = 20s;
/// How long it waits after a look that failed.
constexpr auto kAfterFault = 5s;

}  // namespace

Watch::Watch(std::function<std::chrono::milliseconds()> look)
    : look_(std::move(look)), thread_(start_thread("status watch", [this] { run(); })) {}

Watch::~Watch() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Watch::want() {
    const std::lock_guard lock(mutex_);
    const bool was_wanted = wanted_until_ > SteadyClock::now();
    wanted_until_ = SteadyClock::now() + kWantedFor;
    if (!was_wanted) changed_.notify_all();
}

void Watch::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || wanted_until_ > SteadyClock::now(); });
        if (stopping_) return;
        lock.unlock();
        std::chrono::milliseconds rest = kAfterFault;
        run_turn("status watch", [&] { rest = look_(); });
        lock.lock();
        if (changed_.wait_for(lock, rest, [this] { return stopping_; })) return;
    }
}

}  // namespace homeward::consumer
