#include <homeward/publisher.hpp>

#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "publisher/all_threads_fence.hpp"
#include "publisher/file.hpp"
#include "publisher/fork_detection_page.hpp"
#include "publisher/held_events.hpp"
#include "publisher/json_event.hpp"
#include "publisher/lane_pool.hpp"
#include "publisher/origin.hpp"
#include "publisher/run.hpp"
#include "publisher/sender.hpp"
#include "publisher/shipper.hpp"
#include "publisher/thread_scopes.hpp"
#include "schemas/frame.hpp"
#include "schemas/subject.hpp"

namespace homeward {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr long kTmpfsMagic = 0x01021994;

bool is_tmpfs(const char* path) {
    struct statfs status {};
    return ::statfs(path, &status) == 0 && status.f_type == kTmpfsMagic;
}

/// So that no thread of ours, nor of nats.c's in C, meets an exception of the app's.
std::function<void(std::string_view)> without_exceptions(
    std::function<void(std::string_view)> on_log) {
    if (!on_log) return on_log;
    return [on_log = std::move(on_log)](std::string_view line) noexcept {
        try {
            on_log(line);
        } catch (...) {
            // there is nobody else to tell
        }
    };
}

[[noreturn]] void refuse(const std::string& what) {
    throw SetupError("publisher: " + what);
}

void check_files(const PublisherOptions& options) {
    for (const auto& file : {options.credentials_file, options.nkey_seed_file, options.tls_ca_file,
                             options.tls_cert_file, options.tls_key_file}) {
        if (!file.empty() && ::access(file.c_str(), R_OK) != 0) {
            refuse(file.string() + " cannot be read: " + std::strerror(errno));
        }
    }
}

/// A write beyond the limit would be SIGXFSZ, which ends the app unless it has a handler.
void check_file_size_limit(const PublisherOptions& options) {
    const std::size_t needed =
        std::max(kSegmentBytes, detail::kLaneHeaderBytes + options.lane_bytes);
    if (file_bytes_max() >= needed) return;
    refuse("RLIMIT_FSIZE (ulimit -f) is " + std::to_string(file_bytes_max()) +
           " bytes; a segment of the frame log has " + std::to_string(needed) +
           ". Raise the limit");
}

std::filesystem::path default_lane_dir(const std::filesystem::path& spool_dir) {
    return is_tmpfs("/dev/shm") ? private_directory_in("/dev/shm") : spool_dir / "lanes";
}

PublisherOptions checked(PublisherOptions options) {
    for (const auto& [what, name] :
         {std::pair("region", &options.region), std::pair("app", &options.app)}) {
        if (!is_valid_name(*name)) {
            refuse(std::string(what) + " is \"" + *name +
                   "\"; it must be 1 to 32 of a-z, 0-9, _ and -, and not begin with _ or -");
        }
    }
    if (options.nats_urls.empty()) refuse("nats_urls is empty");
    if (options.frame_bytes < (4u << 10) || options.frame_bytes > (256u << 10)) {
        refuse("frame_bytes must be from 4096 to 262144");
    }
    if (!std::has_single_bit(options.lane_bytes) || options.lane_bytes < (64u << 10) ||
        options.lane_bytes > (1u << 20)) {
        refuse("lane_bytes must be a power of two from 65536 to 1048576");
    }
    if (options.lanes_max == 0) refuse("lanes_max must be at least 1");
    if (options.log_bytes_max < 2 * kSegmentBytes) refuse("log_bytes_max must be at least 16 MiB");
    if (options.spool_bytes_max < 8 * kSegmentBytes) {
        refuse("spool_bytes_max must be at least 64 MiB");
    }
    if (options.in_flight_max == 0) refuse("in_flight_max must be at least 1");
    check_files(options);
    check_file_size_limit(options);
    options.on_log = without_exceptions(std::move(options.on_log));
    if (!options.spool_dir.empty()) {
        options.spool_dir = std::filesystem::absolute(options.spool_dir);
        if (options.lane_dir.empty()) options.lane_dir = default_lane_dir(options.spool_dir);
    }
    return options;
}

/// Never given twice in a process, so that a thread's memory of a dead publisher cannot match.
std::uint64_t next_owner() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

/// A shared lane is held for the time of one copy; if it is not free after so many tries, its
/// holder was preempted, and waiting for that would be blocking.
bool lock_soon(detail::LaneWriter& lane) noexcept {
    constexpr int kTriesMax = 200;
    for (int i = 0; i < kTriesMax; ++i) {
        if (lane.try_lock()) return true;
    }
    return false;
}

RunIdentity identity_of(const PublisherOptions& options) {
    RunIdentity identity;
    identity.publisher = PublisherId::random();
    identity.region = options.region;
    identity.app = options.app;
    identity.lane_dir = options.lane_dir;
    identity.synced = options.durability == Durability::disk;
    identity.spool_bytes_max = options.spool_bytes_max;
    return identity;
}

}  // namespace

class Publisher::Impl {
  public:
    Impl(PublisherOptions wanted, Shipper::Start start)
        : options(std::move(wanted)),
          // For close(); now there are fewer threads than then.
          owner((prepare_all_threads_fence(), next_owner())),
          fork_page(owner),
          run(Run::create(options.spool_dir, identity_of(options))),
          lanes(*run, options.lane_bytes, options.lanes_max),
          sender(options, *run, clock, start) {
        lanes.on_new_lane = [this](std::uint64_t number, LaneMapping* lane) {
            sender.origin(lane->event_class()).add_lane(number, lane);
        };
        const std::filesystem::path& lane_dir = run->identity().lane_dir;
        if (lane_dir != options.lane_dir && options.on_log) {
            options.on_log(options.lane_dir.string() +
                           " is not a directory of this user alone; lanes are in " +
                           lane_dir.string() + ". Remove the one that is in the way");
        }
    }

    const PublisherOptions options;
    const std::uint64_t owner;
    ForkDetectionPage fork_page;
    detail::Clock clock;
    std::unique_ptr<Run> run;
    LanePool lanes;
    Sender sender;
    std::atomic<bool> closed{false};
};

Publisher::Publisher(PublisherOptions options)
    : impl_(new Impl(checked(std::move(options)), Shipper::Start::at_once)) {
    owner_page_ = impl_.load()->fork_page.number();
    clock_ = &impl_.load()->clock;
}

Publisher::~Publisher() {
    close(2s);
    delete own_impl();  // a child's copy of its parent's is left alone
}

Publisher::Impl* Publisher::own_impl() const noexcept {
    Impl* impl = impl_.load(std::memory_order_acquire);
    const std::uint64_t now = owner();
    return now == impl->owner || now == detail::kClosedOwner ? impl : nullptr;
}

Publisher::Impl* Publisher::begin_as_child() noexcept {
    // Of other threads with the one that begins, which takes milliseconds.
    constexpr auto kPatience = 1s;
    Impl* parents = impl_.load(std::memory_order_acquire);
    if (parents->closed.load(std::memory_order_acquire)) return nullptr;
    if (!parents->fork_page.try_begin()) {
        const auto deadline = SteadyClock::now() + kPatience;
        while (own_impl() == nullptr && SteadyClock::now() < deadline) std::this_thread::yield();
        return own_impl();
    }
    if (Impl* begun = own_impl()) return begun;  // by another thread, just before
    try {
        // The parent's is never destroyed: its threads are not here to end, and its connection,
        // spool and locks are not ours. The server may be slow: connecting must not wait for it.
        auto* impl = new Impl(parents->options, Shipper::Start::in_background);
        clock_.store(&impl->clock, std::memory_order_relaxed);
        owner_page_.store(impl->fork_page.number(), std::memory_order_relaxed);
        impl_.store(impl, std::memory_order_release);
        return impl;
    } catch (const std::exception& error) {
        if (parents->options.on_log) parents->options.on_log(error.what());
        parents->fork_page.give_up_begin();  // the next emit() tries again
        return nullptr;
    }
}

detail::LaneWriter* Publisher::find_lane(EventClass event_class,
                                         const TypeDescriptor* descriptor) noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr) impl = begin_as_child();
    if (impl == nullptr || impl->closed.load(std::memory_order_acquire)) return nullptr;
    if (thread_scopes::find(*this) != nullptr) return nullptr;  // emit_aside() lets it hold
    if (descriptor != nullptr && !impl->run->describe(*descriptor)) return nullptr;
    detail::ThreadLane& cached = detail::thread_lanes[static_cast<std::size_t>(event_class) - 1];
    if (cached.owner != impl->owner) {
        detail::LaneWriter* writer = impl->lanes.lane_for_this_thread(event_class);
        if (writer == nullptr) return nullptr;
        cached = {impl->owner, writer, {}, 0};
    }
    if (descriptor != nullptr) {
        cached.known[cached.next_known] = descriptor;
        cached.next_known = static_cast<std::uint8_t>((cached.next_known + 1) % 4);
    }
    return cached.writer;
}

EmitResult Publisher::no_room(detail::LaneWriter* lane, EventClass event_class) noexcept {
    if (event_class == EventClass::audit) {
        lane->count_refusals(1);
        return EmitResult::full;
    }
    lane->count_drops(1);
    return EmitResult::dropped;
}

EmitResult Publisher::emit_shared(detail::LaneWriter* lane, EventClass event_class,
                                  std::size_t record_bytes, void* context,
                                  WriteRecord* write) noexcept {
    const detail::LaneUse use(*lane);
    if (is_closed()) return EmitResult::closed;
    if (!lock_soon(*lane)) return no_room(lane, event_class);
    const bool fits = lane->append(record_bytes, [&](std::byte* at) {
        write(at, clock_.load(std::memory_order_relaxed)->now_us(), context);
    });
    lane->unlock();
    return fits ? EmitResult::accepted : no_room(lane, event_class);
}

EmitResult Publisher::emit_aside(EventClass event_class, const TypeDescriptor* descriptor,
                                 std::size_t record_bytes, void* context,
                                 WriteRecord* write) noexcept {
    if (impl_.load()->closed.load(std::memory_order_acquire)) return EmitResult::closed;
    if (record_bytes > detail::record_bytes_max(lane_bytes())) return EmitResult::too_large;
    while (HeldEvents* scope = thread_scopes::find(*this)) {
        const auto result =
            scope->hold(event_class, descriptor, record_bytes,
                        clock_.load(std::memory_order_relaxed)->now_us(), context, write);
        if (result) return *result;
    }
    // No scope, or no longer.
    detail::LaneWriter* lane = lane_of(event_class, descriptor);
    if (lane == nullptr) return EmitResult::closed;
    return emit_shared(lane, event_class, record_bytes, context, write);
}

EmitResult Publisher::emit_held(EventClass event_class,
                                std::span<const TypeDescriptor* const> descriptors,
                                std::span<const std::byte> spans, std::size_t events,
                                std::size_t drops) noexcept {
    if (impl_.load()->closed.load(std::memory_order_acquire)) return EmitResult::closed;
    detail::LaneWriter* lane = lane_of(event_class, nullptr);
    if (lane == nullptr) return EmitResult::closed;
    for (const TypeDescriptor* descriptor : descriptors) {
        if (lane_of(event_class, descriptor) == nullptr) return EmitResult::closed;
    }
    const detail::LaneUse use(*lane);
    if (is_closed()) return EmitResult::closed;
    bool fits = false;
    if (lock_soon(*lane)) {
        fits = lane->append(spans, events);
        lane->unlock();
    }
    if (event_class == EventClass::audit) return fits ? EmitResult::accepted : EmitResult::full;
    const std::size_t dropped = drops + (fits ? 0 : events);
    if (dropped > 0) lane->count_drops(dropped);
    return dropped > 0 ? EmitResult::dropped : EmitResult::accepted;
}

void Publisher::give_up_held(std::size_t audit_events) noexcept {
    if (audit_events == 0) return;
    const thread_scopes::Outside outside;
    detail::LaneWriter* lane = lane_of(EventClass::audit, nullptr);
    if (lane != nullptr) lane->count_refusals(audit_events);
    if (impl_.load()->options.on_log) {
        impl_.load()->options.on_log(
            std::to_string(audit_events) +
            " audit events of an undecided request scope found no room and are "
            "lost; publish() them where they can be tried again");
    }
}

std::size_t Publisher::lane_bytes() const noexcept {
    return impl_.load()->options.lane_bytes;
}

std::string Publisher::explain_json(std::string_view type, std::string_view json_object,
                                    std::int64_t time_us,
                                    std::span<const std::string_view> required) {
    return JsonEvent(type, json_object, time_us, required).problem();
}

EmitResult Publisher::emit_json(std::string_view type, EventClass event_class,
                                std::string_view json_object, std::int64_t time_us,
                                std::span<const std::string_view> required) noexcept {
    if (json_object.size() > kEventBytesMax) return EmitResult::too_large;
    const JsonEvent checked(type, json_object, time_us, required);
    if (checked.result() != EmitResult::accepted) return checked.result();
    const std::size_t bytes = kRecordHeaderBytes + 2 + type.size() + json_object.size();
    struct Dynamic {
        std::string_view type, object;
        std::int64_t time_us;
    } dynamic{type, json_object, checked.time_us()};
    const auto write = [](std::byte* at, std::int64_t now_us, void* context) {
        const auto& event = *static_cast<const Dynamic*>(context);
        at = put_raw(at, std::uint32_t{0});
        at = put_raw(at, event.time_us != 0 ? event.time_us : now_us);
        at = put_raw(at, static_cast<std::uint16_t>(event.type.size()));
        std::memcpy(at, event.type.data(), event.type.size());
        std::memcpy(at + event.type.size(), event.object.data(), event.object.size());
    };
    return emit_with(event_class, nullptr, bytes, &dynamic, write);
}

EmitResult Publisher::emit_record(const TypeDescriptor& type, std::size_t record_bytes,
                                  void* context, WriteRecord* write) noexcept {
    return emit_with(type.event_class, &type, record_bytes, context, write);
}

EmitResult Publisher::emit_with(EventClass event_class, const TypeDescriptor* descriptor,
                                std::size_t record_bytes, void* context,
                                WriteRecord* write) noexcept {
    detail::LaneWriter* lane = lane_of(event_class, descriptor);
    if (lane == nullptr) return emit_aside(event_class, descriptor, record_bytes, context, write);
    if (record_bytes > lane->record_bytes_max()) return EmitResult::too_large;
    if (lane->is_shared()) return emit_shared(lane, event_class, record_bytes, context, write);
    const detail::LaneUse use(*lane);
    if (is_closed()) return EmitResult::closed;
    const bool fits = lane->append(record_bytes, [&](std::byte* at) {
        write(at, clock_.load(std::memory_order_relaxed)->now_us(), context);
    });
    return fits ? EmitResult::accepted : no_room(lane, event_class);
}

FlushResult Publisher::flush(std::chrono::milliseconds deadline, FlushUntil until) noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr) return {true, 0};  // a child that has emitted nothing
    return impl->sender.flush(SteadyClock::now() + deadline, until);
}

FlushResult Publisher::close(std::chrono::milliseconds deadline) noexcept {
    if (impl_.load()->closed.exchange(true)) return {true, 0};
    Impl* impl = own_impl();
    if (impl == nullptr) return {true, 0};
    impl->fork_page.close();  // or threads would go on filling the lanes that they remember
    const auto until = SteadyClock::now() + deadline;
    fence_all_threads();
    const bool is_quiet = impl->lanes.wait_until_unused(until);
    FlushResult result = impl->sender.close(until, is_quiet);
    if (result.done) {
        impl->run->remove();
    } else if (impl->options.on_log) {
        impl->options.on_log(
            std::to_string(result.events_left) +
            (impl->options.spool_dir.empty()
                 ? " events were not acknowledged in time and are lost with the memory they are in"
                 : " events were not acknowledged in time; the next start sends them"));
    }
    return result;
}

Stats Publisher::stats() const noexcept {
    const Impl* impl = own_impl();
    return impl == nullptr ? Stats{} : impl->sender.stats();
}

}  // namespace homeward
