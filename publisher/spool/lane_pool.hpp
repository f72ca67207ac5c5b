#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/accepted_counts.hpp"
#include "publisher/buffer/lane.hpp"
#include "publisher/buffer/shared_lane.hpp"
#include "publisher/spool/run.hpp"

namespace homeward {

/// Gives each thread a lane per class, and takes back those of threads that have ended. Any thread.
///
/// To make a lane takes hundreds of microseconds, so the sender's thread does: it keeps a few ready
/// for a class that is in use. A thread that finds none shares the class's one lane, which is there
/// from the start, and gets a lane of its own as soon as there is one, or makes it when the shared
/// one is full. It stays there beyond lanes_max, without room for another, and while its own things
/// are being destroyed.
class LanePool {
  public:
    using OnNewLane = std::function<void(std::uint64_t number, LaneMapping* lane)>;

    /// Makes the shared lanes; throws SetupError if there is no room for them. `run` is borrowed.
    LanePool(const Run& run, std::size_t lane_bytes, std::size_t lanes_max);
    ~LanePool();

    /// Told of each lane, those that are there already included. Before any thread asks for one.
    void connect(OnNewLane on_new_lane);

    struct Place {
        detail::LaneWriter* writer = nullptr;
        detail::SharedLaneSeat* seat = nullptr;  ///< in a shared lane
    };
    /// The calling thread's lane: the one it has, one that is free, or the shared one. Allocates,
    /// and makes no system call for a lane; called once per thread and class.
    Place lane_for_this_thread(EventClass event_class) noexcept;
    /// For a thread in the shared lane, at each emit(): a lane of its own if one is free now, else
    /// nullptr.
    detail::LaneWriter* leave_shared(EventClass event_class) noexcept {
        if (free_[index(event_class)].load(std::memory_order_relaxed) == 0) return nullptr;
        return take_free(event_class);
    }
    /// For a thread in the shared lane, when that is full: a lane of its own, made at once, which
    /// takes hundreds of microseconds; it waits as long for others that make lanes. nullptr if
    /// there is no room, at no cost.
    detail::LaneWriter* make_at_once(EventClass event_class) noexcept;
    /// Of a lane that is a thread's own.
    std::uint64_t number_of(const detail::LaneWriter& lane) const noexcept;
    detail::SharedLaneWriter& shared(EventClass event_class) const {
        return shelf_->shared[index(event_class)]->writer;
    }
    /// The largest ring: what it cannot take, no lane can.
    std::size_t ring_bytes_max() const;

    /// LaneDrainer, by its thread, some 50 times a second: keeps the spool's counts, and makes
    /// lanes for threads that share one or will come. Returns what an operator should know, once
    /// for each cause; else "".
    std::string maintain();
    /// Whether a thread has found none since then, and shares: any events of its next milliseconds
    /// would have to fit into that one lane. Any thread.
    bool wants_lane() const noexcept { return wants_lane_.load(std::memory_order_relaxed); }

    /// False if a thread is still at a lane then. For close(), after which no thread begins.
    bool wait_until_unused(std::chrono::steady_clock::time_point deadline) const;

    /// What a thread holds; gives its lanes back when the thread ends.
    struct Holding;

  private:
    using SteadyClock = std::chrono::steady_clock;
    template <typename Writer>
    struct Made {
        LaneMapping mapping;
        Writer writer;
        RecordGrant grant;
        bool is_free = false;
        std::uint64_t number = 0;

        bool is_in_use() const {
            detail::SharedLaneSeats* seats = mapping.seats();
            return writer.is_in_use() || (seats != nullptr && seats->is_any_in_use());
        }
    };
    using Lane = Made<detail::LaneWriter>;
    using SharedLane = Made<detail::SharedLaneWriter>;
    struct Shelf {
        const pid_t process = ::getpid();
        std::mutex mutex;
        std::vector<std::unique_ptr<Lane>> lanes;
        std::array<std::unique_ptr<SharedLane>, 2> shared;
        std::array<bool, 2> is_used{};                    // some thread has asked for a lane
        std::array<bool, 2> is_wanted{};                  // since maintain(), and found none
        std::array<std::atomic<int>, 2>* free = nullptr;  // the pool's, while it lives
    };
    static constexpr std::size_t index(EventClass event_class) {
        return static_cast<std::size_t>(event_class) - 1;
    }
    static void release(Shelf& shelf, const Place& place) noexcept;
    bool is_in_use() const;
    detail::LaneWriter* take_free(EventClass event_class) noexcept;
    // The shelf's mutex is held.
    detail::LaneWriter* lane_of_its_own(EventClass event_class);
    Place seat_in_shared(EventClass event_class);
    Lane* take_free_locked(EventClass event_class);
    // making_mutex_ is held, which adding a lane and looking at all lanes need.
    bool make_free(EventClass event_class) noexcept;
    void make_lanes(EventClass event_class, SteadyClock::time_point until);
    bool is_lane_wanted(EventClass event_class);
    bool is_spare_wanted(EventClass event_class);
    bool is_room_for_spare() const;
    LaneMapping make_mapping(EventClass event_class, std::size_t ring_bytes, detail::LaneKind kind);
    std::size_t ring_bytes_for(std::size_t available) const;
    void keep_counts();
    template <typename Function>
    void for_each_lane(const Function& call);

    const Run& run_;
    std::size_t lane_bytes_;
    std::size_t lanes_max_;
    std::shared_ptr<Shelf> shelf_;  // shared with the threads' holdings, which may outlive us
    std::array<std::atomic<int>, 2> free_{};
    std::atomic<bool> wants_lane_{false};
    std::atomic<bool> has_room_{true};  // for one lane more, as far as the last attempt tells
    OnNewLane on_new_lane_;
    std::mutex making_mutex_;  // taken before the shelf's; guards what follows
    std::uint64_t number_next_ = 0;
    SteadyClock::time_point retry_at_{};  // after a lane could not be made
    SteadyClock::duration backoff_{};
    std::string failure_;  // why; "" once one could
    SteadyClock::time_point failure_quiet_until_{};
};

}  // namespace homeward
