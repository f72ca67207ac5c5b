#include "publisher/bindings/c/pulled_calls.hpp"

#include <algorithm>

namespace homeward {

bool PulledCalls::offer(homeward_tx& tx, Clock::time_point deadline) {
    Offer offer{&tx};
    std::unique_lock lock(mutex_);
    offers_.push_back(&offer);
    offered_.notify_one();
    // take() wakes nobody here: until the end of the call there is nothing to do.
    if (!ended_.wait_until(lock, deadline, [&] { return offer.is_taken; })) {
        offers_.erase(std::find(offers_.begin(), offers_.end(), &offer));
        return false;
    }
    ended_.wait(lock, [&] { return offer.has_ended; });
    return true;
}

homeward_next PulledCalls::take(std::chrono::milliseconds wait, homeward_tx*& tx) {
    tx = nullptr;
    std::unique_lock lock(mutex_);
    offered_.wait_for(lock, wait, [this] { return is_closed_ || !offers_.empty(); });
    if (offers_.empty()) return is_closed_ ? HOMEWARD_NEXT_CLOSED : HOMEWARD_NEXT_NONE;
    Offer* offer = offers_.front();
    offers_.pop_front();
    taken_.push_back(offer);
    offer->is_taken = true;
    tx = offer->tx;
    return HOMEWARD_NEXT_CALL;
}

void PulledCalls::end(homeward_tx& tx) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::find_if(taken_.begin(), taken_.end(),
                                        [&](const Offer* offer) { return offer->tx == &tx; });
        if (found == taken_.end()) return;
        (*found)->has_ended = true;
        taken_.erase(found);
    }
    ended_.notify_all();
}

void PulledCalls::close() {
    {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
    }
    offered_.notify_all();
}

}  // namespace homeward
