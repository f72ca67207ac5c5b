#include <homeward/publisher.hpp>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cctype>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "publisher/all_threads_fence.hpp"
#include "publisher/app_log.hpp"
#include "publisher/child_opener.hpp"
#include "publisher/file.hpp"
#include "publisher/fork_detection_page.hpp"
#include "publisher/held_events.hpp"
#include "publisher/json_event.hpp"
#include "publisher/lane_pool.hpp"
#include "publisher/origin.hpp"
#include "publisher/refusals.hpp"
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

/// What any lane takes.
constexpr std::size_t kSmallestRing = 64u << 10;
constexpr long kTmpfsMagic = 0x01021994;

bool is_tmpfs(const char* path) {
    struct statfs status {};
    return ::statfs(path, &status) == 0 && status.f_type == kTmpfsMagic;
}

/// Of an app that does not listen: that nothing arrives must not go unnoticed.
void warn_on_stderr(std::string_view line) {
    std::string text("homeward: warning: ");
    text.append(line).append("\n");
    // In one piece, as other threads write there, too; where nobody reads there is nobody to tell.
    static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

/// So that no thread of ours, nor of nats.c's in C, meets an exception of the app's.
std::function<void(std::string_view)> without_exceptions(
    std::function<void(std::string_view)> on_log) {
    if (!on_log) on_log = &warn_on_stderr;
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

/// Empty: the default. No wildcard, and at most what leaves room for the rest of a subject.
bool is_valid_inbox_prefix(const std::string& prefix) {
    constexpr std::size_t kBytesMax = 200;
    if (prefix.empty()) return true;
    char before = '.';
    for (const char c : prefix) {
        const bool is_part =
            std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
        if (!is_part && (c != '.' || before == '.')) return false;
        before = c;
    }
    return before != '.' && prefix.size() <= kBytesMax;
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
    if (options.frame_version < 1 || options.frame_version > kFrameVersionMax) {
        refuse("frame_version must be 1 or 2");
    }
    if (options.lanes_max == 0) refuse("lanes_max must be at least 1");
    if (options.log_bytes_max < 2 * kSegmentBytes) refuse("log_bytes_max must be at least 16 MiB");
    if (options.spool_bytes_max < 8 * kSegmentBytes) {
        refuse("spool_bytes_max must be at least 64 MiB");
    }
    if (options.in_flight_max == 0) refuse("in_flight_max must be at least 1");
    if (!is_valid_inbox_prefix(options.inbox_prefix)) {
        refuse("inbox_prefix is \"" + options.inbox_prefix +
               "\"; it must be tokens of A-Z, a-z, 0-9, _ and -, separated by dots");
    }
    check_files(options);
    check_file_size_limit(options);
    options.on_log = without_exceptions(std::move(options.on_log));
    if (!options.spool_dir.empty()) {
        options.spool_dir = std::filesystem::absolute(options.spool_dir);
        if (options.lane_dir.empty()) options.lane_dir = default_lane_dir(options.spool_dir);
    }
    return options;
}

/// Whether this process may make something in it, or make it.
bool is_writable(const std::filesystem::path& directory) {
    const int answer = ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS);
    if (answer == 0 || errno != ENOENT) return answer == 0;
    const std::filesystem::path parent = directory.parent_path();
    return ::faccessat(AT_FDCWD, parent.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

/// A child that has dropped its parent's privileges gets a lane directory of its own. Returns what
/// a person should know of it.
std::string use_writable_lane_dir(PublisherOptions& options) {
    if (options.spool_dir.empty() || is_writable(options.lane_dir)) return "";
    const std::string before = options.lane_dir.string();
    options.lane_dir = default_lane_dir(options.spool_dir);
    return "lane_dir " + before + " cannot be written by process " + std::to_string(::getpid()) +
           " (uid " + std::to_string(::geteuid()) + "): its lanes are in " +
           options.lane_dir.string();
}

/// Never given twice in a process, so that a thread's memory of a dead publisher cannot match.
std::uint64_t next_owner() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

std::optional<SigningKey> key_of(const PublisherOptions& options) {
    if (options.frame_version == 1) return std::nullopt;
    return SigningKey::generate();
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
    Impl(const PublisherOptions& wanted, Shipper::Start start)
        : log(std::make_shared<AppLog>(wanted.on_log)),
          options(with_log(wanted, log)),
          // For close(); now there are fewer threads than then.
          owner((prepare_all_threads_fence(), next_owner())),
          fork_page(owner),
          run{Run::create(options.spool_dir, identity_of(options), key_of(options))},
          lanes(counted(*run.run, options), options.lane_bytes, options.lanes_max),
          sender(options, {*run.run, clock, [this] { maintain(); }}, start) {
        lanes.connect([this](std::uint64_t number, LaneMapping* lane) {
            sender.origin(lane->event_class()).add_lane(number, lane);
        });
        const std::filesystem::path& lane_dir = run.run->identity().lane_dir;
        if (lane_dir != options.lane_dir) {
            log->say(options.lane_dir.string() +
                     " is not a directory of this user alone; lanes are in " + lane_dir.string() +
                     ". Remove the one that is in the way");
        }
        run.is_open = true;
    }

    Stats stats() const {
        Stats stats = sender.stats();
        refusals.add_to(stats.audit, EventClass::audit);
        refusals.add_to(stats.metric, EventClass::metric);
        return stats;
    }

    /// Removes what there is of it unless the publisher could be opened.
    struct OwnRun {
        std::unique_ptr<Run> run;
        bool is_open = false;
        ~OwnRun() {
            if (run != nullptr && !is_open) run->remove();
        }
    };

    const std::shared_ptr<AppLog> log;
    const PublisherOptions options;
    const std::uint64_t owner;
    ForkDetectionPage fork_page;
    detail::Clock clock;
    OwnRun run;
    LanePool lanes;
    Refusals refusals;
    Sender sender;
    std::atomic<bool> closed{false};

  private:
    static PublisherOptions with_log(PublisherOptions options, const std::shared_ptr<AppLog>& log) {
        if (log->on_log()) options.on_log = [log](std::string_view line) { log->say(line); };
        return options;
    }
    static const Run& counted(Run& run, const PublisherOptions& options) {
        run.count_lanes(options.lanes_max + 2);  // threads' and the shared ones
        return run;
    }
    /// By the sender's thread.
    void maintain() {
        log->say_waiting();
        const std::string lanes_line = lanes.maintain();
        if (!lanes_line.empty()) log->say(lanes_line);
        if (SteadyClock::now() < next_news_) return;
        next_news_ = SteadyClock::now() + 1s;
        const std::string refused_line = refusals.news(stats());
        if (!refused_line.empty()) log->say(refused_line);
    }
    SteadyClock::time_point next_news_{};
};

Publisher::Publisher(PublisherOptions options)
    : impl_(new Impl(checked(std::move(options)), Shipper::Start::at_once)) {
    owner_page_ = impl_.load()->fork_page.number();
    clock_ = &impl_.load()->clock;
}

Publisher::~Publisher() {
    close(2s);
    stop_opener();
    delete own_impl();  // a child's copy of its parent's is left alone
}

Publisher::Impl* Publisher::own_impl() const noexcept {
    Impl* impl = impl_.load(std::memory_order_acquire);
    const std::uint64_t now = owner();
    return now == impl->owner || now == detail::kClosedOwner ? impl : nullptr;
}

/// In a child. Empty: what is there is the child's own now; else why it could not be.
std::string Publisher::open_in_child(const Refusals& refused_before) noexcept {
    Impl* parents = impl_.load(std::memory_order_acquire);
    try {
        PublisherOptions options = parents->options;
        options.on_log = parents->log->on_log();
        const std::string moved = use_writable_lane_dir(options);
        // The parent's is never destroyed: its threads are not here to end, and its connection,
        // spool and locks are not ours. The server may be slow: connecting must not wait for it.
        auto* impl = new Impl(options, Shipper::Start::in_background);
        impl->refusals.add(refused_before);
        if (!moved.empty()) impl->log->say(moved);
        clock_.store(&impl->clock, std::memory_order_relaxed);
        owner_page_.store(impl->fork_page.number(), std::memory_order_relaxed);
        impl_.store(impl, std::memory_order_release);
        return "";
    } catch (const std::exception& error) {
        const std::string_view why = error.what();
        return std::string(why.empty() ? "unknown error" : why);
    }
}

Publisher::Impl* Publisher::begin_as_child() noexcept {
    // Of other threads with the one that begins, which takes milliseconds.
    constexpr auto kPatience = 1s;
    Impl* parents = impl_.load(std::memory_order_acquire);
    if (parents->closed.load(std::memory_order_acquire)) return nullptr;
    if (parents->fork_page.has_given_up()) return own_impl();
    if (!parents->fork_page.try_begin()) {
        const auto deadline = SteadyClock::now() + kPatience;
        while (own_impl() == nullptr && !parents->fork_page.has_given_up() &&
               SteadyClock::now() < deadline) {
            std::this_thread::yield();
        }
        return own_impl();
    }
    if (Impl* begun = own_impl()) return begun;  // by another thread, just before
    const AppLog::InsideEmit inside;
    parents->refusals.reset();  // they are the parent's
    const std::string why = open_in_child(parents->refusals);
    if (why.empty()) return own_impl();
    try {
        opener_.store(new ChildOpener([this, parents] { return open_in_child(parents->refusals); },
                                      parents->log->on_log(), why));
    } catch (const std::exception&) {
        // no thread to be had: the child has no publisher
    }
    parents->fork_page.give_up_begin();
    return nullptr;
}

/// In the child that has one; a copy that its own child has is left alone, for its thread is not
/// there.
void Publisher::stop_opener() noexcept {
    ChildOpener* opener = opener_.exchange(nullptr);
    if (opener != nullptr && opener->is_of_this_process()) delete opener;
}

detail::LaneWriter* Publisher::find_lane(EventClass event_class,
                                         const TypeDescriptor* descriptor) noexcept {
    EmitResult why_not;
    return find_lane(event_class, descriptor, why_not);
}

detail::LaneWriter* Publisher::find_lane(EventClass event_class, const TypeDescriptor* descriptor,
                                         EmitResult& why_not) noexcept {
    Impl* impl = own_impl();
    if (impl == nullptr) impl = begin_as_child();
    why_not = EmitResult::unavailable;
    if (impl == nullptr && !impl_.load()->closed) return nullptr;
    why_not = EmitResult::closed;
    if (impl == nullptr || impl->closed.load(std::memory_order_acquire)) return nullptr;
    if (thread_scopes::find(*this) != nullptr) return nullptr;  // emit_aside() lets it hold
    why_not = EmitResult::full;
    if (descriptor != nullptr && !impl->run.run->describe(*descriptor)) return nullptr;
    detail::ThreadLane& cached = detail::thread_lanes[static_cast<std::size_t>(event_class) - 1];
    if (cached.owner != impl->owner) {
        const LanePool::Place place = impl->lanes.lane_for_this_thread(event_class);
        cached = {impl->owner, place.writer, place.seat, {}, 0};
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

/// The counts of a child without a publisher are in its copy of the parent's.
EmitResult Publisher::refuse(EventClass event_class, EmitResult why) noexcept {
    using Reason = Refusals::Reason;
    const Reason reason = why == EmitResult::scope_full    ? Reason::scope_full
                          : why == EmitResult::too_large   ? Reason::too_large
                          : why == EmitResult::full        ? Reason::type_unwritable
                          : why == EmitResult::unavailable ? Reason::unavailable
                          : why == EmitResult::invalid     ? Reason::invalid
                          : why == EmitResult::incomplete  ? Reason::incomplete
                                                           : Reason::closed;
    impl_.load(std::memory_order_acquire)->refusals.count(event_class, reason);
    if (reason != Reason::type_unwritable || event_class == EventClass::audit) return why;
    // A metric is dropped, which a tombstone can say without its type.
    detail::LaneWriter* lane = lane_of(event_class, nullptr);
    if (lane != nullptr) lane->count_drops(1);
    return lane != nullptr ? EmitResult::dropped : EmitResult::closed;
}

EmitResult Publisher::emit_shared(detail::LaneWriter* lane, EventClass event_class,
                                  std::size_t record_bytes, void* context,
                                  WriteRecord* write) noexcept {
    detail::ThreadLane& cached = detail::thread_lanes[static_cast<std::size_t>(event_class) - 1];
    const bool is_cached = cached.writer == lane && cached.owner == owner();
    const auto write_now = [&](std::byte* at) {
        write(at, clock_.load(std::memory_order_relaxed)->now_us(), context);
    };
    if (is_cached && record_bytes <= detail::record_bytes_max(kSmallestRing)) {
        LanePool& lanes = impl_.load(std::memory_order_relaxed)->lanes;
        if (detail::LaneWriter* own = lanes.leave_shared(event_class)) {
            cached.writer = own;
            cached.seat = nullptr;
            const detail::LaneUse use(*own);
            if (is_closed()) return refuse(event_class, EmitResult::closed);
            const bool fits = own->append(record_bytes, write_now);
            return fits ? EmitResult::accepted : no_room(own, event_class);
        }
    }
    auto& shared = static_cast<detail::SharedLaneWriter&>(*lane);
    const detail::LaneUse use(shared);
    if (is_closed()) return refuse(event_class, EmitResult::closed);
    const bool fits = shared.append(record_bytes, write_now, is_cached ? cached.seat : nullptr);
    return fits ? EmitResult::accepted : no_room(lane, event_class);
}

EmitResult Publisher::emit_large(EventClass event_class, std::size_t record_bytes, void* context,
                                 WriteRecord* write) noexcept {
    // Lanes that were made when little room was left are smaller than the shared one.
    Impl* impl = impl_.load(std::memory_order_acquire);
    detail::SharedLaneWriter& shared = impl->lanes.shared(event_class);
    if (record_bytes > shared.record_bytes_max()) return refuse(event_class, EmitResult::too_large);
    return emit_shared(&shared, event_class, record_bytes, context, write);
}

EmitResult Publisher::emit_aside(EventClass event_class, const TypeDescriptor* descriptor,
                                 std::size_t record_bytes, void* context,
                                 WriteRecord* write) noexcept {
    if (impl_.load()->closed.load(std::memory_order_acquire)) {
        return refuse(event_class, EmitResult::closed);
    }
    if (record_bytes > detail::record_bytes_max(lane_bytes())) {
        return refuse(event_class, EmitResult::too_large);
    }
    while (HeldEvents* scope = thread_scopes::find(*this)) {
        const auto result =
            scope->hold(event_class, descriptor, record_bytes,
                        clock_.load(std::memory_order_relaxed)->now_us(), context, write);
        if (!result) continue;
        return *result == EmitResult::scope_full ? refuse(event_class, *result) : *result;
    }
    // No scope, or no longer.
    EmitResult why_not;
    detail::LaneWriter* lane = find_lane(event_class, descriptor, why_not);
    if (lane == nullptr) return refuse(event_class, why_not);
    return emit_to(lane, event_class, record_bytes, context, write);
}

bool Publisher::append_all(detail::LaneWriter& lane, EventClass event_class,
                           std::span<const std::byte> spans, std::size_t events) noexcept {
    detail::SharedLaneWriter& shared = impl_.load()->lanes.shared(event_class);
    if (!lane.is_shared() && spans.size() <= lane.ring_bytes() / 2) {
        return lane.append(spans, events);
    }
    const detail::LaneUse use(shared);
    return !is_closed() && shared.append(spans, events, nullptr);
}

EmitResult Publisher::emit_held(EventClass event_class,
                                std::span<const TypeDescriptor* const> descriptors,
                                std::span<const std::byte> spans, std::size_t events,
                                std::size_t drops) noexcept {
    if (impl_.load()->closed.load(std::memory_order_acquire)) return EmitResult::closed;
    EmitResult why_not;
    detail::LaneWriter* lane = find_lane(event_class, nullptr, why_not);
    if (lane == nullptr) return why_not;
    for (const TypeDescriptor* descriptor : descriptors) {
        if (find_lane(event_class, descriptor, why_not) == nullptr) return why_not;
    }
    const detail::LaneUse use(*lane);
    if (is_closed()) return EmitResult::closed;
    const bool fits = append_all(*lane, event_class, spans, events);
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
    return impl_.load()->lanes.ring_bytes_max();
}

std::string Publisher::explain_json(std::string_view type, std::string_view json_object,
                                    std::int64_t time_us,
                                    std::span<const std::string_view> required) {
    return JsonEvent(type, json_object, time_us, required).problem();
}

EmitResult Publisher::emit_json(std::string_view type, EventClass event_class,
                                std::string_view json_object, std::int64_t time_us,
                                std::span<const std::string_view> required) noexcept {
    if (json_object.size() > kEventBytesMax) return refuse(event_class, EmitResult::too_large);
    const JsonEvent checked(type, json_object, time_us, required);
    if (checked.result() != EmitResult::accepted) return refuse(event_class, checked.result());
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
    return emit_to(lane, event_class, record_bytes, context, write);
}

EmitResult Publisher::emit_to(detail::LaneWriter* lane, EventClass event_class,
                              std::size_t record_bytes, void* context,
                              WriteRecord* write) noexcept {
    if (record_bytes > lane->record_bytes_max()) {
        return emit_large(event_class, record_bytes, context, write);
    }
    if (lane->is_shared()) return emit_shared(lane, event_class, record_bytes, context, write);
    const detail::LaneUse use(*lane);
    if (is_closed()) return refuse(event_class, EmitResult::closed);
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
    stop_opener();
    if (impl_.load()->closed.exchange(true)) return {true, 0};
    Impl* impl = own_impl();
    if (impl == nullptr) return {true, 0};
    impl->fork_page.close();  // or threads would go on filling the lanes that they remember
    const auto until = SteadyClock::now() + deadline;
    fence_all_threads();
    const bool is_quiet = impl->lanes.wait_until_unused(until);
    FlushResult result = impl->sender.close(until, is_quiet);
    if (result.done) {
        impl->run.run->remove();
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
    if (impl != nullptr) return impl->stats();
    Stats stats;
    const Impl* parents = impl_.load(std::memory_order_acquire);
    if (parents->fork_page.has_given_up()) {
        parents->refusals.add_to(stats.audit, EventClass::audit);
        parents->refusals.add_to(stats.metric, EventClass::metric);
    }
    return stats;
}

}  // namespace homeward
