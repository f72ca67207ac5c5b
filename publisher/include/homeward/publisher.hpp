#pragma once

// The publisher: emit() puts one event into a ring of this thread and returns; it never waits,
// never touches the network or the database, and what it accepted survives the death of the
// process (with a spool directory). See publisher/README.md for how.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <homeward/detail/lane_writer.hpp>
#include <homeward/event_class.hpp>
#include <homeward/record.hpp>

namespace homeward {

/// What became of one emit().
enum class EmitResult : std::uint8_t {
    accepted,    ///< it will reach the stream, whatever happens to this process
    held,        ///< by this thread's RequestScope, which publishes or drops it; not yet accepted
    dropped,     ///< metric only: no room; a tombstone will report it
    full,        ///< audit only: no room; the event was not taken, the app decides
    scope_full,  ///< audit only: the RequestScope holds all that it may; not taken
    too_large,   ///< larger than kEventBytesMax or than half a lane; not taken
    closed,      ///< after close(); not taken
    invalid,     ///< emit_json() only: the leader could not read it; explain_json() says why
    incomplete,  ///< a required field was not set; not taken
    /// A forked child that could not open a publisher of its own; on_log says why. It tries again
    /// in the background. Not taken.
    unavailable,
};

/// How much a logged frame survives before it leaves for NATS.
enum class Durability : std::uint8_t {
    process,  ///< the death of the process, since the log is in the page cache at least
    disk,     ///< the restart of the machine too: fdatasync before sending
};

struct PublisherOptions {
    /// nats://host:port, tls://host:port; several are tried in turn.
    std::vector<std::string> nats_urls{"nats://127.0.0.1:4222"};
    /// Where this app runs and what it is: [a-z0-9][a-z0-9_-]{0,31}. They are part of the subject.
    std::string region{};
    std::string app{};

    /// A directory on a disk; shared by any number of publishers. Empty: everything is in anonymous
    /// memory and dies with the process.
    std::filesystem::path spool_dir{};
    /// Where lanes are mapped. Empty: /dev/shm if that is a tmpfs, else inside spool_dir. A mapped
    /// file on a journaling disk makes some emit() calls take milliseconds. But /dev/shm is empty
    /// when a container starts anew: what was in a lane then is lost, and reported. A directory
    /// inside spool_dir loses nothing.
    std::filesystem::path lane_dir{};
    Durability durability = Durability::process;

    /// How long a frame waits for more events, at most; see the README. Longer: fewer bytes, later.
    std::chrono::milliseconds linger{10};
    /// Body of a frame before compression, 4 KiB to 256 KiB.
    std::size_t frame_bytes = 64u << 10;
    /// Ring of one thread and class, a power of two, 64 KiB to 1 MiB: how long a thread may burst
    /// before the sender has run. Larger rings cost cache misses in every emit(). Where little room
    /// is left, rings are smaller: none takes more than a sixteenth of it.
    std::size_t lane_bytes = 1u << 20;
    /// Threads beyond this, or without room for a lane, share one, which is slower (some 100 ns).
    std::size_t lanes_max = 256;
    /// Frame log of one class: how long an outage lasts before audit is refused, metric dropped.
    std::size_t log_bytes_max = 256u << 20;
    /// All that lies in spool_dir, whoever has left it there: what this publisher logs stays within
    /// it. Reached, audit is refused and metric dropped, as with a full log. At least 64 MiB.
    std::size_t spool_bytes_max = std::size_t{4} << 30;
    /// Frames sent and not yet acknowledged, of one class.
    std::size_t in_flight_max = 64;
    std::size_t in_flight_bytes_max = 8u << 20;

    /// Acknowledged frames stay in the log so long, and so many bytes of them per class, and are
    /// sent again when the NATS server was restarted or gives a sequence twice: a nats-server that
    /// is killed can lose what it acknowledged just before. 0: they are not kept.
    std::chrono::milliseconds resend_age_max{10'000};
    std::size_t resend_bytes_max = 8u << 20;

    /// Acknowledgements come to a random subject below this; the login must be allowed to
    /// subscribe there. Empty: "_INBOX.homeward.<region>.<app>", as the generated logins grant it.
    std::string inbox_prefix{};

    /// 1: what consumers of 0.1 read, too. 2: frames signed by a key of this run, so that nobody
    /// else who may publish for this app can settle its events. Consumers are upgraded first: those
    /// of 0.1 make dead letters of version 2.
    std::uint8_t frame_version = 1;

    std::filesystem::path credentials_file{};  ///< NATS .creds
    /// Seed and public key of a NATS user, as `nk -gen user -pubout` prints them.
    std::filesystem::path nkey_seed_file{};
    std::filesystem::path tls_ca_file{};
    std::filesystem::path tls_cert_file{};
    std::filesystem::path tls_key_file{};

    /// Told of what a person should know: connection lost and back, refused frames, recovered
    /// spools. Empty: lines go to standard error. Called from our threads, never from emit(); must
    /// not call back into the publisher, and must not throw: what it throws is lost, with the line
    /// that it was told.
    std::function<void(std::string_view line)> on_log{};
};

/// Bad options, or a disk that cannot be used. The text says what to change.
class SetupError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Events that were not taken, by reason; no one else will report them.
struct RefusalStats {
    /// EmitResult::full, and what an undecided RequestScope had to give up
    std::uint64_t lane_full = 0;
    std::uint64_t scope_full = 0;
    std::uint64_t too_large = 0;
    std::uint64_t type_unwritable = 0;  ///< EmitResult::full: the spool's disk refuses its type
    std::uint64_t invalid = 0;
    std::uint64_t incomplete = 0;
    std::uint64_t unavailable = 0;
    std::uint64_t closed = 0;
};

/// accepted = in_lanes + in_log + acked + tombstoned, whenever it is asked.
struct ClassStats {
    std::uint64_t accepted = 0;  ///< events taken, drops included
    std::uint64_t in_lanes = 0;  ///< not yet in a frame
    std::uint64_t in_log = 0;    ///< in frames that the stream has not acknowledged
    std::uint64_t acked = 0;     ///< in the stream
    std::uint64_t tombstoned =
        0;                      ///< dropped or damaged, as far as reported in acknowledged frames
    std::uint64_t refused = 0;  ///< not among accepted; the sum of refused_by
    std::uint64_t dropped = 0;  ///< metric: found no room; among accepted
    /// Typed events with text that was not UTF-8, where U+FFFD is now; among accepted.
    std::uint64_t scrubbed = 0;
    std::uint64_t retries = 0;     ///< frames sent again
    std::uint64_t wire_bytes = 0;  ///< frames as first sent
    std::uint64_t json_bytes = 0;  ///< the same frames before compression
    std::uint64_t log_bytes = 0;   ///< that the frame log takes on disk
    std::uint64_t log_bytes_max = 0;
    RefusalStats refused_by{};
};
struct Stats {
    ClassStats audit;
    ClassStats metric;
    bool connected = false;
    std::size_t spools_recovering = 0;  ///< left by dead processes and not yet sent
};

enum class FlushUntil : std::uint8_t {
    logged,  ///< in the frame log
    stream,  ///< acknowledged by JetStream
};
struct FlushResult {
    bool done = false;
    /// Accepted and not there when the call ended, those included that came while it waited; drops
    /// count as events. 0 when done. Of close(): not acknowledged.
    std::uint64_t events_left = 0;
};

class ChildOpener;
class Refusals;

/// Generated structs by class. What became of an audit event must not be ignored: it may be full.
template <typename Event>
concept AuditEvent = Event::kDescriptor.event_class == EventClass::audit;
template <typename Event>
concept MetricEvent = Event::kDescriptor.event_class == EventClass::metric;

/// Any number of threads may call emit(), flush() and stats(). close() once, by whoever owns it.
/// Two publishers in one process, or on one spool directory, do not disturb each other.
///
/// After fork() both go on. The child becomes a publisher of its own at its first emit(), which
/// takes some milliseconds: a fresh identity, lanes, spool lock and connection. Until then, and if
/// it never emits, its copy costs nothing, and close() and the destructor leave the parent's alone.
/// The parent's connection is the parent's alone, and ends with it: a child lets go of its copy
/// within fork(). (vfork() and what is made of it, as system() and posix_spawn(), never have one.)
/// request_scope.hpp holds a request's events back until it is known where the request is handled.
class Publisher {
  public:
    /// Throws SetupError. That NATS is away is no error: events wait in the log.
    explicit Publisher(PublisherOptions options);
    /// As close(2 s); then what our threads have begun, a write (1 s) or a connection (3 s), comes
    /// to its end: 6 s at the most. on_log may be called until it returns.
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// `Event`: a struct made by homeward_event_types(). Views in it are read before it returns.
    /// A thread's first call may take microseconds and allocate; no later one does.
    template <AuditEvent Event>
    [[nodiscard]] EmitResult emit(const Event& event) noexcept {
        return emit_typed(event);
    }
    template <MetricEvent Event>
    EmitResult emit(const Event& event) noexcept {
        return emit_typed(event);
    }

    /// As emit(), for who would rather wait: an audit event that finds no room is tried again until
    /// there is some, or until the deadline. Each try that fails counts as refused in stats().
    template <typename Event>
    [[nodiscard]] EmitResult emit_wait(const Event& event,
                                       std::chrono::milliseconds deadline) noexcept;

    /// An event whose type is known only at run time. `json_object`: the text of one JSON object
    /// with the type's fields. Its own "time" counts, and so does its "type", which must be `type`.
    /// `time_us`: microseconds since 1970-01-01 UTC, if the object has none; 0: now. What is no
    /// JSON object in UTF-8, has a duplicate key or a time that cannot be read, is `invalid`.
    /// `required`: at most 64 keys without which it is `incomplete`; the types that ship (audit,
    /// metric) have their own.
    [[nodiscard]] EmitResult emit_json(std::string_view type, EventClass event_class,
                                       std::string_view json_object, std::int64_t time_us = 0,
                                       std::span<const std::string_view> required = {}) noexcept;
    /// Why emit_json() finds the same event `invalid` or `incomplete`, for a person: what is wrong,
    /// at which byte, and what to send instead. Empty if it does not.
    static std::string explain_json(std::string_view type, std::string_view json_object,
                                    std::int64_t time_us = 0,
                                    std::span<const std::string_view> required = {});
    /// Those of a type that ships; none of any other.
    static std::span<const std::string_view> required_keys(std::string_view type) noexcept;

    using WriteRecord = void(std::byte* at, std::int64_t time_us, void* context);
    /// An event that is written by hand, for bindings: `write` puts a typed record (record.hpp) of
    /// `record_bytes` at `at`, with this time. `type` must live as long as the publisher.
    [[nodiscard]] EmitResult emit_record(const TypeDescriptor& type, std::size_t record_bytes,
                                         void* context, WriteRecord* write) noexcept;

    /// Waits until everything accepted before the call is there, or until the deadline.
    FlushResult flush(std::chrono::milliseconds deadline,
                      FlushUntil until = FlushUntil::stream) noexcept;

    /// Refuses further events, waits for other threads' emit() to end, flushes, tells the leader
    /// that the origin has ended. What is left stays in the spool for the next start; without a
    /// spool it is lost, and said.
    FlushResult close(std::chrono::milliseconds deadline) noexcept;

    Stats stats() const noexcept;

  private:
    class Impl;
    friend class BufferedEvents;

    template <typename Event>
    EmitResult emit_typed(const Event& event) noexcept;
    /// This thread's lane of the class; nullptr when there is none to be had.
    detail::LaneWriter* lane_of(EventClass event_class, const TypeDescriptor* descriptor) noexcept {
        detail::ThreadLane& cached =
            detail::thread_lanes[static_cast<std::size_t>(event_class) - 1];
        // The page reads zero after fork(), so a child never writes into its parent's lanes.
        if (cached.owner == owner() && cached.knows(descriptor)) [[likely]] {
            return cached.writer;
        }
        return find_lane(event_class, descriptor);
    }
    detail::LaneWriter* find_lane(EventClass event_class,
                                  const TypeDescriptor* descriptor) noexcept;
    detail::LaneWriter* find_lane(EventClass event_class, const TypeDescriptor* descriptor,
                                  EmitResult& why_not) noexcept;
    EmitResult no_room(detail::LaneWriter* lane, EventClass event_class) noexcept;
    /// Counts an event that is not taken.
    EmitResult refuse(EventClass event_class, EmitResult why) noexcept;
    /// Larger than this thread's lane takes: another may.
    EmitResult emit_large(EventClass event_class, std::size_t record_bytes, void* context,
                          WriteRecord* write) noexcept;
    EmitResult emit_with(EventClass event_class, const TypeDescriptor* descriptor,
                         std::size_t record_bytes, void* context, WriteRecord* write) noexcept;
    EmitResult emit_to(detail::LaneWriter* lane, EventClass event_class, std::size_t record_bytes,
                       void* context, WriteRecord* write) noexcept;
    EmitResult emit_shared(detail::LaneWriter* lane, EventClass event_class,
                           std::size_t record_bytes, void* context, WriteRecord* write) noexcept;
    /// When there is no lane for it: a RequestScope holds it, or nobody takes it.
    EmitResult emit_slow(EventClass event_class, const TypeDescriptor* descriptor,
                         std::size_t record_bytes, void* context, WriteRecord* write) noexcept;
    /// What a RequestScope has held: all of it or, unless accepted or dropped, nothing.
    EmitResult emit_held(EventClass event_class, std::span<const TypeDescriptor* const> descriptors,
                         std::span<const std::byte> spans, std::size_t events,
                         std::size_t drops) noexcept;
    /// Makes all of them visible at once, or nothing.
    bool append_all(detail::LaneWriter& lane, EventClass event_class,
                    std::span<const std::byte> spans, std::size_t events) noexcept;
    void give_up_held(std::size_t audit_events) noexcept;
    std::size_t lane_bytes() const noexcept;

    std::uint64_t owner() const noexcept {
        return owner_page_.load(std::memory_order_relaxed)->load(std::memory_order_relaxed);
    }
    bool is_closed() const noexcept { return owner() == detail::kClosedOwner; }
    /// nullptr in a forked child that has not emitted yet: what is there is the parent's.
    Impl* own_impl() const noexcept;
    Impl* begin_as_child() noexcept;
    std::string open_in_child(const Refusals& refused_before) noexcept;
    void stop_opener() noexcept;

    // They change in a forked child only, at its first emit(), never while a thread holds a lane.
    std::atomic<const std::atomic<std::uint64_t>*> owner_page_{nullptr};
    std::atomic<const detail::Clock*> clock_{nullptr};
    std::atomic<Impl*> impl_{nullptr};
    std::atomic<ChildOpener*> opener_{nullptr};
};

template <typename Event>
EmitResult Publisher::emit_typed(const Event& event) noexcept {
    constexpr EventClass event_class = Event::kDescriptor.event_class;
    constexpr WriteRecord* write = [](std::byte* at, std::int64_t time_us, void* context) {
        static_cast<const Event*>(context)->write_record(at, time_us);
    };
    void* const context = const_cast<Event*>(&event);
    if (!event.is_complete()) [[unlikely]]
        return refuse(event_class, EmitResult::incomplete);
    detail::LaneWriter* lane = lane_of(event_class, &Event::kDescriptor);
    const std::size_t bytes = event.record_bytes();
    if (bytes > kTextBytesMax && !event.has_short_texts()) [[unlikely]] {
        return refuse(event_class, EmitResult::too_large);
    }
    if (lane == nullptr) [[unlikely]] {
        return emit_slow(event_class, &Event::kDescriptor, bytes, context, write);
    }
    if (bytes > lane->record_bytes_max()) [[unlikely]] {
        return emit_large(event_class, bytes, context, write);
    }
    if (lane->is_shared()) return emit_shared(lane, event_class, bytes, context, write);
    const detail::LaneUse use(*lane);
    if (is_closed()) [[unlikely]]
        return refuse(event_class, EmitResult::closed);
    const bool fits = lane->append(bytes, [&](std::byte* at) {
        event.write_record(at, clock_.load(std::memory_order_relaxed)->now_us());
    });
    return fits ? EmitResult::accepted : no_room(lane, event_class);
}

namespace detail {

/// Calls `emit` until it finds room or the deadline has passed; at least once.
template <typename Emit>
EmitResult retry_while_full(std::chrono::milliseconds deadline, Emit&& emit) noexcept {
    EmitResult result = emit();
    if (result != EmitResult::full) return result;
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (result == EmitResult::full && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        result = emit();
    }
    return result;
}

}  // namespace detail

template <typename Event>
EmitResult Publisher::emit_wait(const Event& event, std::chrono::milliseconds deadline) noexcept {
    return detail::retry_while_full(deadline, [&] { return emit(event); });
}

}  // namespace homeward
