#include <homeward/publisher.hpp>

#include <sys/mman.h>
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

#include "publisher/held_events.hpp"
#include "publisher/lane_pool.hpp"
#include "publisher/origin.hpp"
#include "publisher/run.hpp"
#include "publisher/sender.hpp"
#include "publisher/shipper.hpp"
#include "publisher/thread_scopes.hpp"
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
    if (options.in_flight_max == 0) refuse("in_flight_max must be at least 1");
    check_files(options);
    if (!options.spool_dir.empty()) {
        options.spool_dir = std::filesystem::absolute(options.spool_dir);
        if (options.lane_dir.empty()) {
            options.lane_dir =
                is_tmpfs("/dev/shm")
                    ? std::filesystem::path("/dev/shm/homeward-" + std::to_string(::getuid()))
                    : options.spool_dir / "lanes";
        }
    }
    return options;
}

/// A page of the publisher's number, which reads zero in a forked child.
class OwnerPage {
  public:
    explicit OwnerPage(std::uint64_t owner) {
        void* page =
            ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) refuse(std::string("mmap: ") + std::strerror(errno));
        number_ = static_cast<std::uint64_t*>(page);
        if (::madvise(page, kBytes, MADV_WIPEONFORK) != 0) {
            const int error = errno;
            ::munmap(page, kBytes);
            refuse(std::string("MADV_WIPEONFORK (Linux 4.14 or newer is needed): ") +
                   std::strerror(error));
        }
        *number_ = owner;
    }
    ~OwnerPage() { ::munmap(number_, kBytes); }
    OwnerPage(const OwnerPage&) = delete;
    OwnerPage& operator=(const OwnerPage&) = delete;

    const volatile std::uint64_t* number() const { return number_; }

  private:
    static constexpr std::size_t kBytes = 4096;
    std::uint64_t* number_;
};

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
    return identity;
}

}  // namespace

class Publisher::Impl {
  public:
    explicit Impl(PublisherOptions wanted)
        : options(checked(std::move(wanted))),
          owner(next_owner()),
          owner_page(owner),
          run(Run::create(options.spool_dir, identity_of(options))),
          lanes(*run, options.lane_bytes, options.lanes_max),
          sender(options, *run, clock) {
        lanes.on_new_lane = [this](std::uint64_t number, LaneMapping* lane) {
            sender.origin(lane->event_class()).add_lane(number, lane);
        };
    }

    const PublisherOptions options;
    const std::uint64_t owner;
    OwnerPage owner_page;
    detail::Clock clock;
    std::unique_ptr<Run> run;
    LanePool lanes;
    Sender sender;
    std::atomic<bool> closed{false};
};

Publisher::Publisher(PublisherOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
    owner_page_ = impl_->owner_page.number();
    clock_ = &impl_->clock;
}

Publisher::~Publisher() {
    if (impl_ != nullptr) close(2s);
}

detail::LaneWriter* Publisher::find_lane(EventClass event_class,
                                         const TypeDescriptor* descriptor) noexcept {
    if (impl_->closed.load(std::memory_order_acquire)) return nullptr;
    if (*owner_page_ != impl_->owner) return nullptr;  // a forked child: not ours to write to
    if (thread_scopes::find(*this) != nullptr) return nullptr;  // emit_aside() lets it hold
    if (descriptor != nullptr && !impl_->run->describe(*descriptor)) return nullptr;
    detail::ThreadLane& cached = detail::thread_lanes[static_cast<std::size_t>(event_class) - 1];
    if (cached.owner != impl_->owner) {
        detail::LaneWriter* writer = impl_->lanes.lane_for_this_thread(event_class);
        if (writer == nullptr) return nullptr;
        cached = {impl_->owner, writer, {}, 0};
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
    if (!lock_soon(*lane)) return no_room(lane, event_class);
    EmitResult result = EmitResult::accepted;
    if (std::byte* at = lane->reserve(record_bytes); at != nullptr) {
        write(at, clock_->now_us(), context);
        lane->commit(record_bytes);
    } else {
        result = no_room(lane, event_class);
    }
    lane->unlock();
    return result;
}

EmitResult Publisher::emit_aside(EventClass event_class, const TypeDescriptor* descriptor,
                                 std::size_t record_bytes, void* context,
                                 WriteRecord* write) noexcept {
    if (impl_->closed.load(std::memory_order_acquire)) return EmitResult::closed;
    if (record_bytes > detail::record_bytes_max(lane_bytes())) return EmitResult::too_large;
    while (HeldEvents* scope = thread_scopes::find(*this)) {
        const auto result = scope->hold(event_class, descriptor, record_bytes, clock_->now_us(),
                                        context, write);
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
    if (impl_->closed.load(std::memory_order_acquire)) return EmitResult::closed;
    detail::LaneWriter* lane = lane_of(event_class, nullptr);
    if (lane == nullptr) return EmitResult::closed;
    for (const TypeDescriptor* descriptor : descriptors) {
        if (lane_of(event_class, descriptor) == nullptr) return EmitResult::closed;
    }
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
    if (impl_->options.on_log) {
        impl_->options.on_log(std::to_string(audit_events) +
                              " audit events of an undecided request scope found no room and are "
                              "lost; publish() them where they can be tried again");
    }
}

std::size_t Publisher::lane_bytes() const noexcept { return impl_->options.lane_bytes; }

EmitResult Publisher::emit_json(std::string_view type, EventClass event_class,
                                std::string_view json_object, std::int64_t time_us) noexcept {
    detail::LaneWriter* lane = lane_of(event_class, nullptr);
    if (type.size() > UINT16_MAX) return EmitResult::too_large;
    const std::size_t bytes = kRecordHeaderBytes + 2 + type.size() + json_object.size();
    struct Dynamic {
        std::string_view type, object;
        std::int64_t time_us;
    } dynamic{type, json_object, time_us};
    const auto write = [](std::byte* at, std::int64_t now_us, void* context) {
        const auto& event = *static_cast<const Dynamic*>(context);
        at = put_raw(at, std::uint32_t{0});
        at = put_raw(at, event.time_us != 0 ? event.time_us : now_us);
        at = put_raw(at, static_cast<std::uint16_t>(event.type.size()));
        std::memcpy(at, event.type.data(), event.type.size());
        std::memcpy(at + event.type.size(), event.object.data(), event.object.size());
    };
    if (lane == nullptr) return emit_aside(event_class, nullptr, bytes, &dynamic, write);
    if (bytes > lane->record_bytes_max()) return EmitResult::too_large;
    if (lane->is_shared()) return emit_shared(lane, event_class, bytes, &dynamic, write);
    std::byte* at = lane->reserve(bytes);
    if (at == nullptr) return no_room(lane, event_class);
    write(at, clock_->now_us(), &dynamic);
    lane->commit(bytes);
    return EmitResult::accepted;
}

FlushResult Publisher::flush(std::chrono::milliseconds deadline, FlushUntil until) noexcept {
    return impl_->sender.flush(SteadyClock::now() + deadline, until);
}

FlushResult Publisher::close(std::chrono::milliseconds deadline) noexcept {
    if (impl_->closed.exchange(true)) return {true, 0};
    const auto until = SteadyClock::now() + deadline;
    FlushResult result = impl_->sender.close(until);
    if (result.done) {
        impl_->run->remove();
    } else if (impl_->options.on_log) {
        impl_->options.on_log(
            std::to_string(result.events_left) +
            (impl_->options.spool_dir.empty()
                 ? " events were not acknowledged in time and are lost with the memory they are in"
                 : " events were not acknowledged in time; the next start sends them"));
    }
    return result;
}

Stats Publisher::stats() const noexcept {
    return impl_->sender.stats();
}

}  // namespace homeward
