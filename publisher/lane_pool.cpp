#include "publisher/lane_pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

namespace homeward {
namespace {

// Trivial, so that it may still be read when the thread's other things are already destroyed.
constinit thread_local bool has_given_back = false;

}  // namespace

/// A weak hold: if the publisher is gone by the time the thread ends, there is nothing to give.
struct LanePool::Holding {
    struct Held {
        std::weak_ptr<Shelf> shelf;
        detail::LaneWriter* writer;
    };
    std::vector<Held> held;

    ~Holding() {
        // What the thread emits from here on, in the destructor of something older than this, must
        // not go into a lane that may be another thread's by then.
        has_given_back = true;
        detail::thread_lanes = {};
        for (const Held& one : held) {
            const auto shelf = one.shelf.lock();
            // In a forked child the parent's shelf may be locked for ever, and is not ours.
            if (shelf != nullptr && shelf->process == ::getpid()) give_back(*shelf, one.writer);
        }
    }
};

LanePool::LanePool(const Run& run, std::size_t lane_bytes, std::size_t lanes_max)
    : run_(run),
      lane_bytes_(lane_bytes),
      lanes_max_(lanes_max),
      shelf_(std::make_shared<Shelf>()) {}

LanePool::~LanePool() = default;

void LanePool::give_back(Shelf& shelf, detail::LaneWriter* writer) {
    const std::lock_guard lock(shelf.mutex);
    for (const auto& lane : shelf.lanes) {
        if (&lane->writer == writer) lane->is_free = true;
    }
}

bool LanePool::is_in_use() const {
    const std::lock_guard lock(shelf_->mutex);
    return std::any_of(shelf_->lanes.begin(), shelf_->lanes.end(),
                       [](const auto& lane) { return lane->writer.is_in_use(); });
}

bool LanePool::wait_until_unused(std::chrono::steady_clock::time_point deadline) const {
    // A use takes less than a microsecond, unless the kernel has stopped the thread in it.
    while (is_in_use()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

LanePool::Lane* LanePool::find_free(EventClass event_class) const {
    for (const auto& lane : shelf_->lanes) {
        if (lane->is_free && lane->mapping.event_class() == event_class) return lane.get();
    }
    return nullptr;
}

LanePool::Lane* LanePool::make(EventClass event_class, bool shared) {
    const std::uint64_t number = number_next_++;
    auto lane = std::make_unique<Lane>(
        LaneMapping::create(run_.create_lane_file(number), event_class, lane_bytes_), shared);
    Lane* made = lane.get();
    shelf_->lanes.push_back(std::move(lane));
    on_new_lane(number, &made->mapping);
    return made;
}

detail::LaneWriter* LanePool::lane_of_its_own(EventClass event_class) {
    if (has_given_back) return nullptr;
    thread_local Holding holding;
    // A thread that came back from another publisher still has the lane it had.
    for (const Holding::Held& one : holding.held) {
        if (one.shelf.lock() != shelf_) continue;
        for (const auto& lane : shelf_->lanes) {
            if (&lane->writer == one.writer && lane->mapping.event_class() == event_class) {
                return one.writer;
            }
        }
    }
    Lane* lane = find_free(event_class);
    if (lane == nullptr && shelf_->lanes.size() < lanes_max_) {
        try {
            lane = make(event_class, false);
        } catch (const SetupError&) {
            // no space for another: share
        }
    }
    if (lane == nullptr) return nullptr;
    std::erase_if(holding.held, [](const auto& one) { return one.shelf.expired(); });
    holding.held.push_back({shelf_, &lane->writer});
    lane->is_free = false;
    return &lane->writer;
}

detail::LaneWriter* LanePool::lane_for_this_thread(EventClass event_class) noexcept {
    try {
        const std::lock_guard lock(shelf_->mutex);
        if (detail::LaneWriter* own = lane_of_its_own(event_class)) return own;
        Lane*& shared = shelf_->shared[static_cast<std::size_t>(event_class) - 1];
        if (shared == nullptr) shared = make(event_class, true);
        return &shared->writer;
    } catch (const std::exception&) {
        return nullptr;  // neither memory nor disk: emit() answers closed
    }
}

}  // namespace homeward
