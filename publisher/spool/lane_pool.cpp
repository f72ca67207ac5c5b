#include "publisher/spool/lane_pool.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "publisher/platform/process_membarrier.hpp"
#include "publisher/platform/reserve.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;

// Trivial, so that it may still be read when the thread's other things are already destroyed.
constinit thread_local bool has_released = false;

/// A lane takes no more than this share of what is free: many threads find room, and so does
/// another process. 64 MB hold some 110 lanes of a process so.
constexpr std::size_t kShareOfFree = 16;
/// Left to other processes, whose shared lanes must fit.
constexpr std::size_t kBytesKeptFree = 1u << 20;
/// Between two attempts to make a lane where one failed.
constexpr auto kBackoffMin = 1s;
constexpr auto kBackoffMax = 30s;
/// After so long without failure, the next is said again.
constexpr auto kFailureQuiet = 10min;
/// For making lanes at a time, so that the sender is not kept from draining.
constexpr auto kMakingMax = 2ms;
/// That an emit() waits for others that make lanes. With its own making it stays below 1 ms.
constexpr auto kMakingWaitMax = 500us;
/// Lanes of a class that lie ready for threads to come.
constexpr int kSpareLanes = 2;
/// Not made where less would be left: half of a container's 64 MB, for threads that are there.
constexpr std::size_t kBytesKeptBySpares = 32u << 20;

}  // namespace

/// A weak hold: if the publisher is gone by the time the thread ends, there is nothing to give.
struct LanePool::Holding {
    struct Held {
        std::weak_ptr<Shelf> shelf;
        EventClass event_class;
        Place place;
    };
    std::vector<Held> held;

    ~Holding() {
        // What the thread emits from here on, in the destructor of something older than this, must
        // not go into a lane that may be another thread's by then.
        has_released = true;
        detail::thread_lanes = {};
        for (const Held& one : held) {
            const auto shelf = one.shelf.lock();
            // In a forked child the parent's shelf may be locked for ever, and is not ours.
            if (shelf != nullptr && shelf->process == ::getpid()) release(*shelf, one.place);
        }
    }
    static Holding& of_this_thread() {
        thread_local Holding holding;
        return holding;
    }
};

LanePool::LanePool(const Run& run, std::size_t lane_bytes, std::size_t lanes_max)
    : run_(run), lane_bytes_(lane_bytes), lanes_max_(lanes_max), shelf_(std::make_shared<Shelf>()) {
    shelf_->free = &free_;
    for (EventClass event_class : {EventClass::audit, EventClass::metric}) {
        const std::uint64_t number = number_next_;
        LaneMapping mapping = make_mapping(event_class, ring_bytes_for(run_.lane_bytes_available()),
                                           detail::LaneKind::shared);
        detail::AcceptedCell* cell = run_.accepted_cell(number, event_class);
        const RecordGrant grant(mapping.header(), cell, true);
        detail::LaneHeader* header = mapping.header();
        std::byte* ring = mapping.ring();
        shelf_->shared[index(event_class)].reset(
            new SharedLane{std::move(mapping), {header, ring, cell}, grant, false, number});
    }
}

LanePool::~LanePool() {
    const std::lock_guard lock(shelf_->mutex);
    shelf_->free = nullptr;
}

void LanePool::connect(OnNewLane on_new_lane) {
    const std::lock_guard lock(shelf_->mutex);
    on_new_lane_ = std::move(on_new_lane);
    for (std::size_t i = 0; i < shelf_->shared.size(); ++i) {
        on_new_lane_(i, &shelf_->shared[i]->mapping);
    }
}

std::size_t LanePool::ring_bytes_max() const {
    return shelf_->shared[0]->mapping.ring_bytes();
}

std::size_t LanePool::ring_bytes_for(std::size_t available) const {
    std::size_t bytes = lane_bytes_;
    while (bytes > available / kShareOfFree && bytes > detail::kRingBytesMin) bytes /= 2;
    return bytes;
}

LaneMapping LanePool::make_mapping(EventClass event_class, std::size_t ring_bytes,
                                   detail::LaneKind kind) {
    try {
        LaneMapping mapping =
            LaneMapping::create(run_.create_lane_file(number_next_), event_class, ring_bytes, kind);
        ++number_next_;
        return mapping;
    } catch (const std::exception&) {
        run_.remove_lane_file(number_next_);
        throw;
    }
}

void LanePool::release(Shelf& shelf, const Place& place) noexcept {
    const std::lock_guard lock(shelf.mutex);
    if (place.seat != nullptr) {
        for (const auto& shared : shelf.shared) {
            if (&shared->writer == place.writer) shared->mapping.seats()->release(place.seat);
        }
        return;
    }
    for (const auto& lane : shelf.lanes) {
        if (&lane->writer != place.writer) continue;
        lane->is_free = true;
        if (shelf.free != nullptr) ++(*shelf.free)[index(lane->mapping.event_class())];
    }
}

bool LanePool::is_in_use() const {
    const std::lock_guard lock(shelf_->mutex);
    const auto is_used = [](const auto& lane) { return lane->is_in_use(); };
    return std::any_of(shelf_->lanes.begin(), shelf_->lanes.end(), is_used) ||
           std::any_of(shelf_->shared.begin(), shelf_->shared.end(), is_used);
}

bool LanePool::wait_until_unused(std::chrono::steady_clock::time_point deadline) const {
    // A use takes less than a microsecond, unless the kernel has stopped the thread in it.
    while (is_in_use()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

LanePool::Lane* LanePool::take_free_locked(EventClass event_class) {
    for (const auto& lane : shelf_->lanes) {
        if (!lane->is_free || lane->mapping.event_class() != event_class) continue;
        lane->is_free = false;
        --free_[index(event_class)];
        return lane.get();
    }
    return nullptr;
}

/// False, and failure_ says why, when there is no room; that is remembered for a while.
bool LanePool::make_free(EventClass event_class) noexcept {
    if (shelf_->lanes.size() >= lanes_max_ || SteadyClock::now() < retry_at_) return false;
    try {
        const std::size_t available = run_.lane_bytes_available();
        const std::size_t ring_bytes = ring_bytes_for(available);
        if (available < ring_bytes + kBytesKeptFree) {
            throw SetupError("only " + std::to_string(available >> 10) + " KiB are free");
        }
        const std::uint64_t number = number_next_;
        LaneMapping mapping = make_mapping(event_class, ring_bytes, detail::LaneKind::own);
        mapping.prefault();
        detail::AcceptedCell* cell = run_.accepted_cell(number, event_class);
        const RecordGrant grant(mapping.header(), cell, false);
        detail::LaneHeader* header = mapping.header();
        std::byte* ring = mapping.ring();
        std::unique_ptr<Lane> lane(
            new Lane{std::move(mapping), {header, ring, false, cell}, grant, true, number});
        const std::lock_guard lock(shelf_->mutex);
        reserve_one_more(shelf_->lanes);  // or it might be drained, and not be ours
        on_new_lane_(number, &lane->mapping);
        shelf_->lanes.push_back(std::move(lane));
        ++free_[index(event_class)];
        backoff_ = {};
        failure_.clear();
        has_room_ = shelf_->lanes.size() < lanes_max_;
        return true;
    } catch (const std::exception& error) {
        backoff_ = std::clamp<SteadyClock::duration>(2 * backoff_, kBackoffMin, kBackoffMax);
        retry_at_ = SteadyClock::now() + backoff_;
        has_room_ = false;
        try {
            failure_ = error.what();
        } catch (const std::bad_alloc&) {
            // said another time
        }
        return false;
    }
}

detail::LaneWriter* LanePool::lane_of_its_own(EventClass event_class) {
    Holding& holding = Holding::of_this_thread();
    std::erase_if(holding.held, [](const auto& one) { return one.shelf.expired(); });
    reserve_one_more(holding.held);
    Lane* lane = take_free_locked(event_class);
    if (lane == nullptr) return nullptr;
    holding.held.push_back({shelf_, event_class, {&lane->writer, nullptr}});
    return &lane->writer;
}

LanePool::Place LanePool::seat_in_shared(EventClass event_class) {
    SharedLane& lane = *shelf_->shared[index(event_class)];
    if (has_released) return {&lane.writer, nullptr};
    Holding& holding = Holding::of_this_thread();
    reserve_one_more(holding.held);
    const Place place{&lane.writer, lane.mapping.seats()->take()};
    holding.held.push_back({shelf_, event_class, place});
    return place;
}

LanePool::Place LanePool::lane_for_this_thread(EventClass event_class) noexcept {
    try {
        const std::lock_guard lock(shelf_->mutex);
        shelf_->is_used[index(event_class)] = true;
        if (!has_released) {
            // A thread that came back from another publisher still has the lane it had.
            for (const Holding::Held& one : Holding::of_this_thread().held) {
                if (one.event_class == event_class && one.shelf.lock() == shelf_) return one.place;
            }
            if (detail::LaneWriter* own = lane_of_its_own(event_class)) return {own, nullptr};
            shelf_->is_wanted[index(event_class)] = true;
            wants_lane_.store(true, std::memory_order_relaxed);
        }
        return seat_in_shared(event_class);
    } catch (const std::exception&) {
        return {&shared(event_class), nullptr};  // no memory for more
    }
}

detail::LaneWriter* LanePool::take_free(EventClass event_class) noexcept {
    std::unique_lock lock(shelf_->mutex, std::try_to_lock);
    if (!lock.owns_lock() || has_released) return nullptr;
    // The thread's hold on the shared lane becomes one on its own: nothing is allocated.
    for (Holding::Held& one : Holding::of_this_thread().held) {
        if (one.event_class != event_class || one.shelf.lock() != shelf_) continue;
        Lane* lane = one.place.seat != nullptr ? take_free_locked(event_class) : nullptr;
        if (lane == nullptr) return nullptr;
        shelf_->shared[index(event_class)]->mapping.seats()->release(one.place.seat);
        one.place = {&lane->writer, nullptr};
        return &lane->writer;
    }
    return nullptr;
}

detail::LaneWriter* LanePool::make_at_once(EventClass event_class) noexcept {
    const std::atomic<int>& free = free_[index(event_class)];
    // Where none could be made, only maintain() tries again: until then it costs emit() nothing.
    if (free == 0 && !has_room_) return nullptr;
    // Not lock(), which has no bound; and what its owner makes may be for this thread.
    std::unique_lock making(making_mutex_, std::try_to_lock);
    for (const auto until = SteadyClock::now() + kMakingWaitMax; !making.owns_lock();) {
        if (SteadyClock::now() >= until) return nullptr;
        std::this_thread::sleep_for(20us);
        if (detail::LaneWriter* lane = leave_shared(event_class)) return lane;
        making.try_lock();
    }
    if (free == 0 && !make_free(event_class)) return nullptr;
    return take_free(event_class);
}

std::uint64_t LanePool::number_of(const detail::LaneWriter& lane) const noexcept {
    const std::lock_guard lock(shelf_->mutex);
    const auto found = std::find_if(shelf_->lanes.begin(), shelf_->lanes.end(),
                                    [&](const auto& one) { return &one->writer == &lane; });
    return found == shelf_->lanes.end() ? UINT64_MAX : (*found)->number;
}

bool LanePool::is_room_for_spare() const {
    // The last is for whoever needs it, of either class.
    return shelf_->lanes.size() + 1 < lanes_max_ &&
           run_.lane_bytes_available() >= kBytesKeptBySpares + lane_bytes_;
}

/// Asked before each, for threads leave the shared lane while another is made.
bool LanePool::is_lane_wanted(EventClass event_class) {
    const std::size_t i = index(event_class);
    const std::lock_guard lock(shelf_->mutex);
    // One that shared for an instant and has ended: others like it will come.
    const int asked = std::exchange(shelf_->is_wanted[i], false) ? 1 : 0;
    const auto sharing = static_cast<int>(shelf_->shared[i]->mapping.seats()->taken());
    return free_[i] < std::max(sharing, asked);
}

bool LanePool::is_spare_wanted(EventClass event_class) {
    const std::size_t i = index(event_class);
    const std::lock_guard lock(shelf_->mutex);
    return shelf_->is_used[i] && free_[i] < kSpareLanes;
}

void LanePool::make_lanes(EventClass event_class, SteadyClock::time_point until) {
    while (SteadyClock::now() < until && is_lane_wanted(event_class)) {
        if (!make_free(event_class)) return;
    }
    while (SteadyClock::now() < until && is_spare_wanted(event_class) && is_room_for_spare()) {
        if (!make_free(event_class)) return;
    }
}

template <typename Function>
void LanePool::for_each_lane(const Function& call) {
    for (const auto& lane : shelf_->lanes) call(*lane);
    for (const auto& lane : shelf_->shared) call(*lane);
}

void LanePool::keep_counts() {
    bool is_any_too_high = false;
    for_each_lane([&](auto& lane) { is_any_too_high |= lane.grant.tend(); });
    if (!is_any_too_high) return;
    process_membarrier();
    for_each_lane([](auto& lane) {
        if (lane.grant.is_too_high() && !lane.is_in_use()) lane.grant.lower();
    });
}

std::string LanePool::maintain() {
    wants_lane_.store(false, std::memory_order_relaxed);
    const bool are_counts_kept = run_.keep_accepted_counts();  // may wait for the disk
    const std::lock_guard making(making_mutex_);
    std::string line;
    if (!are_counts_kept) {
        for_each_lane([](auto& lane) { lane.grant.end(); });
        line =
            "the spool's disk takes no counts any more: if the lanes are lost, too, nobody will "
            "know how many events they held";
    }
    keep_counts();
    const auto until = SteadyClock::now() + kMakingMax;
    for (EventClass event_class : {EventClass::audit, EventClass::metric}) {
        make_lanes(event_class, until);
    }
    if (line.empty() && !failure_.empty() && SteadyClock::now() >= failure_quiet_until_) {
        line = "no room for another lane in " + run_.lanes_place() + " (" + failure_ +
               "): threads share one of each class; give it more room (in a container: "
               "--shm-size), or set lane_dir";
    }
    if (!failure_.empty()) failure_quiet_until_ = SteadyClock::now() + kFailureQuiet;
    return line;
}

}  // namespace homeward
