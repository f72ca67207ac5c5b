#include "publisher/scope/buffered_events.hpp"

#include <algorithm>
#include <new>

#include "publisher/scope/thread_scopes.hpp"

namespace homeward {

bool BufferedEvents::Records::add_span(std::size_t bytes, const TypeDescriptor* descriptor,
                                       std::size_t bytes_max) noexcept {
    if (spans.size() + bytes > bytes_max) return false;
    try {
        spans.reserve(std::max(spans.size() + bytes, std::min(2 * spans.size(), bytes_max)));
        if (std::find(descriptors.begin(), descriptors.end(), descriptor) == descriptors.end()) {
            descriptors.push_back(descriptor);
        }
        spans.resize(spans.size() + bytes);
    } catch (const std::bad_alloc&) {
        return false;
    }
    ++events;
    return true;
}

bool BufferedEvents::Records::add_all(const Records& more, std::size_t bytes_max) noexcept {
    if (spans.size() + more.spans.size() > bytes_max) return false;
    try {
        spans.reserve(spans.size() + more.spans.size());
        descriptors.reserve(descriptors.size() + more.descriptors.size());
    } catch (const std::bad_alloc&) {
        return false;
    }
    spans.insert(spans.end(), more.spans.begin(), more.spans.end());
    for (const TypeDescriptor* descriptor : more.descriptors) {
        if (std::find(descriptors.begin(), descriptors.end(), descriptor) == descriptors.end()) {
            descriptors.push_back(descriptor);
        }
    }
    events += more.events;
    return true;
}

std::uint64_t BufferedEvents::own_number(Publisher& publisher) {
    if (publisher.own_impl() == nullptr) publisher.begin_as_child();
    return publisher.owner();
}

BufferedEvents::BufferedEvents(Publisher& publisher, std::size_t bytes_max)
    : publisher_(publisher),
      owner_(own_number(publisher)),
      bytes_max_(std::min(bytes_max, publisher.lane_bytes() / 2)) {}

std::optional<EmitResult> BufferedEvents::hold(EventClass event_class,
                                               const TypeDescriptor* descriptor,
                                               std::size_t record_bytes, std::int64_t time_us,
                                               void* context,
                                               Publisher::WriteRecord* write) noexcept {
    const std::lock_guard lock(mutex_);
    if (!is_open()) return std::nullopt;
    Records& held = event_class == EventClass::audit ? audit_ : metric_;
    const std::size_t start = held.spans.size();
    if (!held.add_span(detail::record_span(record_bytes), descriptor, bytes_max_)) {
        if (event_class == EventClass::audit) return EmitResult::scope_full;
        ++held.drops;
        return EmitResult::dropped;
    }
    std::byte* at = &held.spans[start];
    put_raw(at, static_cast<std::uint32_t>(record_bytes));
    write(at + detail::kRecordPrefixBytes, time_us, context);
    return EmitResult::held;
}

EmitResult BufferedEvents::publish() noexcept {
    if (!belongs_to(publisher_)) return EmitResult::closed;
    if (BufferedEvents* outer = thread_scopes::find_around(*this)) return hand_to(*outer);
    const std::lock_guard lock(mutex_);
    return is_open() ? send_all() : decided();
}

EmitResult BufferedEvents::hand_to(BufferedEvents& outer) noexcept {
    const std::scoped_lock lock(mutex_, outer.mutex_);
    if (!is_open()) return decided();
    if (!outer.is_open()) return send_all();
    if (!outer.audit_.add_all(audit_, outer.bytes_max_)) return EmitResult::scope_full;
    const bool fits = outer.metric_.add_all(metric_, outer.bytes_max_);
    outer.metric_.drops += metric_.drops + (fits ? 0 : metric_.events);
    decide(State::published);
    return EmitResult::held;
}

/// Audit first: if that finds no room, nothing is published, and metrics may still be.
EmitResult BufferedEvents::send_all() noexcept {
    const thread_scopes::Outside outside;
    const EmitResult audit = send(EventClass::audit, audit_);
    if (audit != EmitResult::accepted) return audit;
    const EmitResult metric = send(EventClass::metric, metric_);
    if (metric == EmitResult::closed) return metric;
    decide(State::published);
    return EmitResult::accepted;
}

EmitResult BufferedEvents::send(EventClass event_class, Records& held) noexcept {
    if (held.events + held.drops == 0) return EmitResult::accepted;
    const EmitResult result =
        publisher_.emit_held(event_class, held.descriptors, held.spans, held.events, held.drops);
    const bool is_taken = result == EmitResult::accepted || result == EmitResult::dropped;
    if (is_taken) held = {};  // so that a second try sends nothing twice
    return result;
}

void BufferedEvents::drop() noexcept {
    if (!belongs_to(publisher_)) return;
    const std::lock_guard lock(mutex_);
    if (is_open()) decide(State::dropped);
}

void BufferedEvents::end() noexcept {
    if (!is_open() || !belongs_to(publisher_)) return;
    if (publish() == EmitResult::accepted) return;
    const std::lock_guard lock(mutex_);
    if (!is_open()) return;
    publisher_.give_up_held(audit_.events);
    decide(State::dropped);
}

EmitResult BufferedEvents::decided() const noexcept {
    return state_ == State::published ? EmitResult::accepted : EmitResult::closed;
}

void BufferedEvents::decide(State state) noexcept {
    audit_ = metric_ = {};
    state_.store(state, std::memory_order_release);
}

std::size_t BufferedEvents::events() const noexcept {
    if (!belongs_to(publisher_)) return 0;
    const std::lock_guard lock(mutex_);
    return audit_.events + metric_.events;
}

}  // namespace homeward
