#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/lane.hpp"
#include "publisher/run.hpp"

namespace homeward {

/// Gives each thread a lane per class, and takes back those of threads that have ended. Any thread.
class LanePool {
  public:
    LanePool(const Run& run, std::size_t lane_bytes, std::size_t lanes_max);
    ~LanePool();

    /// The calling thread's lane: a dead thread's, a new one, or the one that all late-comers
    /// share: beyond lanes_max, without space for another, and while the thread's own things are
    /// being destroyed. nullptr if there is not even that. Allocates; called once per thread and
    /// class.
    detail::LaneWriter* lane_for_this_thread(EventClass event_class) noexcept;

    /// False if a thread is still at a lane then. For close(), after which no thread begins.
    bool wait_until_unused(std::chrono::steady_clock::time_point deadline) const;

    std::function<void(std::uint64_t number, LaneMapping* lane)> on_new_lane;

    /// What a thread holds; gives its lanes back when the thread ends.
    struct Holding;

  private:
    struct Lane {
        LaneMapping mapping;
        detail::LaneWriter writer;
        bool is_free = false;
        Lane(LaneMapping&& made, bool shared)
            : mapping(std::move(made)), writer(mapping.header(), mapping.ring(), shared) {}
    };
    struct Shelf {
        const pid_t process = ::getpid();
        std::mutex mutex;
        std::vector<std::unique_ptr<Lane>> lanes;
        Lane* shared[2] = {nullptr, nullptr};
    };
    static void give_back(Shelf& shelf, detail::LaneWriter* writer);
    bool is_in_use() const;
    // The shelf's mutex is held; nullptr: a lane of its own is not to be had.
    detail::LaneWriter* lane_of_its_own(EventClass event_class);
    Lane* find_free(EventClass event_class) const;
    Lane* make(EventClass event_class, bool shared);

    const Run& run_;
    std::size_t lane_bytes_;
    std::size_t lanes_max_;
    std::shared_ptr<Shelf> shelf_;  // shared with the threads' holdings, which may outlive us
    std::uint64_t number_next_ = 0;
};

}  // namespace homeward
