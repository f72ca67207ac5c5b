// Publisher's emits: from one event to its lane, or to the reason why it is not taken.

#include <cstring>
#include <string>

#include <homeward/publisher.hpp>

#include "publisher/api/json_event.hpp"
#include "publisher/api/publisher_impl.hpp"
#include "publisher/api/refusals.hpp"
#include "publisher/buffer/shared_lane.hpp"
#include "publisher/cells/cell_layout.hpp"
#include "publisher/scope/buffered_events.hpp"
#include "publisher/scope/thread_scopes.hpp"
#include "publisher/spool/lane_pool.hpp"
#include "publisher/spool/run.hpp"

namespace homeward {

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
    if (thread_scopes::find(*this) != nullptr) return nullptr;  // emit_slow() lets it hold
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

detail::LanePlace Publisher::own_lane_place(const TypeDescriptor& type,
                                            std::size_t record_bytes) noexcept {
    detail::LaneWriter* lane = lane_of(type.event_class, &type);
    if (lane == nullptr) return {};
    LanePool& lanes = impl_.load(std::memory_order_relaxed)->lanes;
    if (lane->is_shared()) {
        detail::LaneWriter* own = lanes.make_at_once(type.event_class);
        if (own == nullptr) return {};
        auto& cached = detail::thread_lanes[static_cast<std::size_t>(type.event_class) - 1];
        cached.writer = own;
        cached.seat = nullptr;
        lane = own;
    }
    if (record_bytes > lane->record_bytes_max()) return {};  // it goes to the shared one
    return {lanes.number_of(*lane), lane->head()};
}

EmitResult Publisher::no_room(detail::LaneWriter* lane, EventClass event_class) noexcept {
    if (event_class == EventClass::audit) {
        if (!detail::thread_retries_when_full) lane->count_refusals(1);
        return EmitResult::full;
    }
    lane->count_drops(1);
    return EmitResult::dropped;
}

EmitResult Publisher::refuse(EventClass event_class, EmitResult why) noexcept {
    if (why == EmitResult::full && event_class == EventClass::audit &&
        detail::thread_retries_when_full) {
        return why;
    }
    using Reason = Refusals::Reason;
    const Reason reason = why == EmitResult::scope_full    ? Reason::scope_full
                          : why == EmitResult::too_large   ? Reason::too_large
                          : why == EmitResult::full        ? Reason::type_unwritable
                          : why == EmitResult::unavailable ? Reason::unavailable
                          : why == EmitResult::invalid     ? Reason::invalid
                          : why == EmitResult::incomplete  ? Reason::incomplete
                                                           : Reason::closed;
    Impl* impl = own_impl();
    // A forked child's first event may be one that is refused.
    if (impl == nullptr && why != EmitResult::unavailable) impl = begin_as_child();
    // The counts of a child without a publisher are in its copy of the parent's.
    if (impl == nullptr) impl = impl_.load(std::memory_order_acquire);
    impl->refusals.count(event_class, reason);
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
    const auto emit_to_own = [&](detail::LaneWriter* own) {
        cached.writer = own;
        cached.seat = nullptr;
        const detail::LaneUse use(*own);
        if (is_closed()) return refuse(event_class, EmitResult::closed);
        const bool fits = own->append(record_bytes, write_now);
        return fits ? EmitResult::accepted : no_room(own, event_class);
    };
    LanePool& lanes = impl_.load(std::memory_order_relaxed)->lanes;
    const bool may_leave = is_cached && record_bytes <= detail::kRecordBytesInAnyLane;
    if (may_leave) {
        if (detail::LaneWriter* own = lanes.leave_shared(event_class)) return emit_to_own(own);
    }
    auto& shared = static_cast<detail::SharedLaneWriter&>(*lane);
    detail::SharedLaneSeat* seat = is_cached ? cached.seat : nullptr;
    {
        const detail::SharedLaneUse use(shared, seat);
        if (is_closed()) return refuse(event_class, EmitResult::closed);
        if (shared.append(record_bytes, write_now, seat)) return EmitResult::accepted;
    }
    // Many threads have just begun, faster than lanes are made for them.
    if (may_leave) {
        if (detail::LaneWriter* own = lanes.make_at_once(event_class)) return emit_to_own(own);
    }
    return no_room(lane, event_class);
}

EmitResult Publisher::emit_large(EventClass event_class, std::size_t record_bytes, void* context,
                                 WriteRecord* write) noexcept {
    // Lanes that were made when little room was left are smaller than the shared one.
    Impl* impl = impl_.load(std::memory_order_acquire);
    detail::SharedLaneWriter& shared = impl->lanes.shared(event_class);
    if (record_bytes > shared.record_bytes_max()) return refuse(event_class, EmitResult::too_large);
    return emit_shared(&shared, event_class, record_bytes, context, write);
}

EmitResult Publisher::emit_slow(EventClass event_class, const TypeDescriptor* descriptor,
                                std::size_t record_bytes, void* context,
                                WriteRecord* write) noexcept {
    if (impl_.load()->closed.load(std::memory_order_acquire)) {
        return refuse(event_class, EmitResult::closed);
    }
    if (record_bytes > detail::record_bytes_max(lane_bytes())) {
        return refuse(event_class, EmitResult::too_large);
    }
    while (BufferedEvents* scope = thread_scopes::find(*this)) {
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
    if (lane == nullptr) return emit_slow(event_class, descriptor, record_bytes, context, write);
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

}  // namespace homeward
