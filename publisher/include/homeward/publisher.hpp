#pragma once

/// @file
/// The publisher: emit() writes one event into a ring of the calling thread and returns. It never
/// waits and uses neither network nor database. With a spool directory, accepted events survive
/// the death of the process. See publisher/README.md for the design.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include <homeward/detail/lane_writer.hpp>
#include <homeward/event_class.hpp>
#include <homeward/options.hpp>
#include <homeward/record.hpp>
#include <homeward/stats.hpp>

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

/// How far events must be before flush() returns.
enum class FlushUntil : std::uint8_t {
    logged,  ///< in the frame log
    stream,  ///< acknowledged by JetStream
};
/// The result of flush() and close().
struct FlushResult {
    bool done = false;  ///< all of them are there
    /// Events that were accepted and not there when the call ended, those included that came while
    /// it waited; drops count as events. 0 when done. For close(): not acknowledged.
    std::uint64_t events_left = 0;
};

class ChildOpener;
class MeterState;
class MetricReports;
class Refusals;
namespace detail {
class MeterCore;
struct LanePlace;
}  // namespace detail

/// A generated struct of class audit. Its EmitResult must not be ignored: it may be full.
template <typename Event>
concept AuditEvent = Event::kDescriptor.event_class == EventClass::audit;
/// A generated struct of class metric.
template <typename Event>
concept MetricEvent = Event::kDescriptor.event_class == EventClass::metric;

/// Accepts events of this process and sends them to JetStream.
///
/// Thread safety: any number of threads may call emit(), flush() and stats(). The owner calls
/// close() once. Two publishers in one process, or on one spool directory, are independent.
///
/// fork(): both processes continue. The child becomes a publisher of its own at its first emit(),
/// which takes about a millisecond: a new identity, lanes and spool lock. Until then its
/// copy costs nothing, and close() and the destructor do not touch the parent's. A child closes its
/// copy of the parent's socket within fork(). (vfork(), and so system() and posix_spawn(), never
/// copy it.) request_scope.hpp buffers a request's events until it is known which region handles
/// it.
class Publisher {
  public:
    /// Opens the spool and starts the threads. An unreachable NATS server is no error: events wait
    /// in the log.
    /// @param options settings; region and app are required
    /// @throws SetupError if the options are invalid or a directory cannot be used
    explicit Publisher(PublisherOptions options);
    /// Calls close(2 s), then waits until a write (1 s) or a connection attempt (3 s) that has
    /// begun ends: 6 s at most. on_log may be called until it returns.
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// Emits a typed event. It never waits. A thread's first call may take microseconds and
    /// allocate; later calls make no system call and allocate nothing. Any thread.
    /// @tparam Event a struct made by homeward_event_types()
    /// @param event views in it are read before the call returns
    /// @return accepted, or held inside a RequestScope; otherwise the reason why it was not taken
    template <AuditEvent Event>
    [[nodiscard]] EmitResult emit(const Event& event) noexcept {
        return emit_typed(event);
    }
    /// The same for metrics, whose result may be ignored: a drop is reported by itself.
    /// @tparam Event a struct made by homeward_event_types()
    /// @param event views in it are read before the call returns
    /// @return accepted, held or dropped; otherwise the reason why it was not taken
    template <MetricEvent Event>
    EmitResult emit(const Event& event) noexcept {
        return emit_typed(event);
    }

    /// Like emit(), but blocks up to `deadline` while the lane is full (EmitResult::full). Counts
    /// as refused in stats() once, if it gives up. Any thread.
    /// @tparam Event a struct made by homeward_event_types()
    /// @param event views in it are read before the call returns
    /// @param deadline milliseconds from now; at least one attempt is made
    /// @return as emit(); full if there was no room until the deadline
    template <typename Event>
    [[nodiscard]] EmitResult emit_wait(const Event& event,
                                       std::chrono::milliseconds deadline) noexcept;

    /// Emits an event whose type is known only at run time. It never waits. Any thread.
    /// @param type the event type's name
    /// @param event_class the event type's class
    /// @param json_object one JSON object in UTF-8 with the type's fields. Its "time", if there is
    ///     one, is the row's time; its "type", if there is one, must be `type`
    /// @param time_us microseconds since 1970-01-01 UTC, used if the object has no "time"; 0: now
    /// @param required at most 64 keys that the object must have; audit and metric have their own
    /// @return as emit(); invalid if the text is no such object, has a duplicate key or a bad time;
    ///     incomplete if a required key is absent. explain_json() gives the reason as text
    [[nodiscard]] EmitResult emit_json(std::string_view type, EventClass event_class,
                                       std::string_view json_object, std::int64_t time_us = 0,
                                       std::span<const std::string_view> required = {}) noexcept;
    /// Explains why emit_json() returns invalid or incomplete for the same arguments. Any thread.
    /// @param type as for emit_json()
    /// @param json_object as for emit_json()
    /// @param time_us as for emit_json()
    /// @param required as for emit_json()
    /// @return what is wrong, at which byte, and what to send instead; empty if nothing is wrong
    static std::string explain_json(std::string_view type, std::string_view json_object,
                                    std::int64_t time_us = 0,
                                    std::span<const std::string_view> required = {});
    /// The required fields of an event type that ships (audit, metric). Any thread.
    /// @param type the event type's name
    /// @return its required fields; empty for any other type
    static std::span<const std::string_view> required_keys(std::string_view type) noexcept;

    /// Writes one typed record (record.hpp) at `at`, with this time in microseconds since 1970.
    using WriteRecord = void(std::byte* at, std::int64_t time_us, void* context);
    /// Emits an event that the caller encodes; for language bindings. It never waits. Any thread.
    /// @param type the event type; it must live as long as the publisher
    /// @param record_bytes size of the record that `write` writes
    /// @param context passed to `write`
    /// @param write called at most once, before the call returns
    /// @return as emit()
    [[nodiscard]] EmitResult emit_record(const TypeDescriptor& type, std::size_t record_bytes,
                                         void* context, WriteRecord* write) noexcept;
    /// Counts an event that the caller refuses itself, as one that emit() refuses: in stats(), and
    /// on_log is told each reason once. For language bindings. Any thread.
    /// @param event_class the event's class
    /// @param why invalid, incomplete or too_large
    /// @return why
    EmitResult refuse(EventClass event_class, EmitResult why) noexcept;

    /// Waits until everything accepted before the call is there, or until the deadline; what meters
    /// (metrics.hpp) have counted before the call is reported first. Any thread.
    /// @param deadline milliseconds from now
    /// @param until the frame log, or JetStream's acknowledgement
    /// @return whether all of it is there, and how many events are not
    FlushResult flush(std::chrono::milliseconds deadline,
                      FlushUntil until = FlushUntil::stream) noexcept;

    /// Refuses further events, waits for emit() calls of other threads, flushes, and tells the
    /// leader that the origin has ended. Unsent events stay in the spool for the next start;
    /// without a spool they are lost, and on_log says so. A later call, such as the destructor's,
    /// only tells on_log why events have been refused since. One thread.
    /// @param deadline milliseconds from now
    /// @return whether everything was acknowledged, and how many events were not
    FlushResult close(std::chrono::milliseconds deadline) noexcept;

    /// The counts of both classes at this moment. Any thread.
    /// @return counts since the publisher was opened
    Stats stats() const noexcept;

  private:
    class Impl;
    friend class BufferedEvents;
    friend class detail::MeterCore;
    friend class MeterState;

    template <typename Event>
    EmitResult emit_typed(const Event& event) noexcept;
    /// Where the next record of this thread will be, if it has a lane of its own or gets one.
    detail::LanePlace own_lane_place(const TypeDescriptor& type, std::size_t record_bytes) noexcept;
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
    /// Of this process; a child begins its own publisher. nullptr: it has none, or is closed.
    MetricReports* metric_reports() noexcept;
    bool report_metrics(std::chrono::steady_clock::time_point deadline) noexcept;
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
    // First, since it takes longest and nothing waits for it until the record is written.
    const std::int64_t now_us = clock_.load(std::memory_order_relaxed)->now_us();
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
    if (bytes > detail::kRecordBytesInAnyLane && bytes > lane->record_bytes_max()) [[unlikely]] {
        return emit_large(event_class, bytes, context, write);
    }
    if (lane->is_shared()) [[unlikely]]
        return emit_shared(lane, event_class, bytes, context, write);
    const detail::LaneUse use(*lane);
    if (is_closed()) [[unlikely]]
        return refuse(event_class, EmitResult::closed);
    const bool fits = lane->append(bytes, [&](std::byte* at) { event.write_record(at, now_us); });
    return fits ? EmitResult::accepted : no_room(lane, event_class);
}

namespace detail {

/// Calls `emit` until it finds room or the deadline has passed; at least once. Only the last
/// attempt counts as refused.
template <typename Emit>
EmitResult retry_while_full(std::chrono::milliseconds deadline, Emit&& emit) noexcept {
    if (deadline.count() <= 0) return emit();
    const auto attempt = [&] {
        thread_retries_when_full = true;
        const EmitResult result = emit();
        thread_retries_when_full = false;
        return result;
    };
    EmitResult result = attempt();
    if (result != EmitResult::full) return result;
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (result == EmitResult::full && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        result = attempt();
    }
    return result == EmitResult::full ? emit() : result;
}

}  // namespace detail

template <typename Event>
EmitResult Publisher::emit_wait(const Event& event, std::chrono::milliseconds deadline) noexcept {
    return detail::retry_while_full(deadline, [&] { return emit(event); });
}

}  // namespace homeward
