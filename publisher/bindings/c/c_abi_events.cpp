// homeward.h: event types that are described at run time, and emits of both kinds.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "publisher/bindings/c/c_abi_handles.hpp"

using homeward::code_of;
using homeward::EmitResult;
using homeward::EventClass;
using homeward::explain_to;
using homeward::RecordKind;

namespace {

constexpr std::size_t kFieldsMax = 64;  // bits of a record's presence
constexpr std::size_t kTypeNameBytesMax = 48;
constexpr std::size_t kFieldNameBytesMax = 63;

template <typename Emit>
homeward_result emit_within(uint32_t deadline_ms, Emit&& emit) {
    return code_of(homeward::detail::retry_while_full(std::chrono::milliseconds(deadline_ms),
                                                      std::forward<Emit>(emit)));
}

bool is_class(homeward_class event_class) {
    return event_class == HOMEWARD_AUDIT || event_class == HOMEWARD_METRIC;
}
EventClass class_of(homeward_class event_class) {
    return static_cast<EventClass>(event_class);
}

bool is_kind(homeward_kind kind) {
    return kind >= HOMEWARD_INTEGER && kind <= HOMEWARD_JSON;
}
RecordKind record_kind(homeward_kind kind) {
    switch (kind) {
        case HOMEWARD_INTEGER:
            return RecordKind::integer;
        case HOMEWARD_REAL:
            return RecordKind::real;
        case HOMEWARD_BOOLEAN:
            return RecordKind::boolean;
        case HOMEWARD_TIMESTAMP:
            return RecordKind::timestamp;
        case HOMEWARD_JSON:
            return RecordKind::json;
        default:
            return RecordKind::text;
    }
}

/// What schemas/ takes as a name; anything else would need escaping in JSON.
bool is_name(const char* name, std::size_t bytes_max) {
    if (name == nullptr || *name < 'a' || *name > 'z') return false;
    const std::string_view text(name);
    return text.size() <= bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

/// One event on its way into a lane.
struct Values {
    const homeward_type& type;
    std::span<const homeward_value> values;  // one for each field
};

std::string_view text_of(const homeward_value& value) {
    return {value.as.text.bytes, value.as.text.size};
}

/// HOMEWARD_ACCEPTED, or what is wrong with the values.
homeward_result check(const Values& event) {
    for (std::size_t i = 0; i < event.values.size(); ++i) {
        const homeward_value& value = event.values[i];
        if (value.kind == HOMEWARD_ABSENT) {
            if (event.type.is_required[i]) return HOMEWARD_INCOMPLETE;
            continue;
        }
        if (value.kind != event.type.kinds[i]) return HOMEWARD_INVALID;
        const bool has_text = value.kind == HOMEWARD_TEXT || value.kind == HOMEWARD_JSON;
        const std::size_t size = has_text ? value.as.text.size : 0;
        if (size > 0 && value.as.text.bytes == nullptr) return HOMEWARD_INVALID;
        if (value.kind == HOMEWARD_TEXT && size > homeward::kTextBytesMax) {
            return HOMEWARD_TOO_LARGE;
        }
    }
    return HOMEWARD_ACCEPTED;
}

std::size_t record_bytes(const Values& event) {
    std::size_t bytes = homeward::kTypedHeaderBytes;
    for (const homeward_value& value : event.values) {
        switch (value.kind) {
            case HOMEWARD_ABSENT:
                break;
            case HOMEWARD_BOOLEAN:
                bytes += 1;
                break;
            case HOMEWARD_TEXT:
            case HOMEWARD_JSON:
                // A size that would overflow the sum is too large anyway.
                bytes += 4 + std::min<std::size_t>(value.as.text.size, UINT32_MAX);
                break;
            default:
                bytes += 8;
                break;
        }
    }
    return bytes;
}

void write_record(std::byte* at, std::int64_t time_us, void* context) {
    const Values& event = *static_cast<const Values*>(context);
    std::uint64_t presence = 0;
    for (std::size_t i = 0; i < event.values.size(); ++i) {
        if (event.values[i].kind != HOMEWARD_ABSENT) presence |= std::uint64_t{1} << i;
    }
    at = homeward::put_raw(at, event.type.descriptor.hash);
    at = homeward::put_raw(at, time_us);
    at = homeward::put_raw(at, presence);
    for (const homeward_value& value : event.values) {
        switch (value.kind) {
            case HOMEWARD_ABSENT:
                break;
            case HOMEWARD_INTEGER:
            case HOMEWARD_TIMESTAMP:
                at = homeward::put(at, value.as.integer);
                break;
            case HOMEWARD_REAL:
                at = homeward::put(at, value.as.real);
                break;
            case HOMEWARD_BOOLEAN:
                at = homeward::put(at, value.as.integer != 0);
                break;
            case HOMEWARD_TEXT:
            case HOMEWARD_JSON:
                at = homeward::put(at, text_of(value));
                break;
        }
    }
}

/// Marks the fields that an event must have. False: one of the names is no field's.
bool require(homeward_type& type, std::span<const char* const> names) {
    type.is_required.assign(type.fields.size(), false);
    const auto mark = [&type](std::string_view name) {
        for (std::size_t i = 0; i < type.fields.size(); ++i) {
            if (type.fields[i].name != name) continue;
            type.is_required[i] = true;
            type.required.push_back(type.fields[i].name);
            return true;
        }
        return false;
    };
    if (names.empty()) {
        // A type that ships has its own; what was not described here is never set.
        for (std::string_view name : homeward::Publisher::required_keys(type.name)) mark(name);
        return true;
    }
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return name != nullptr && mark(name); });
}

}  // namespace

// NOLINTBEGIN(readability-function-size): the calls of C have pointer and size of each text.
homeward_result homeward_emit_json(homeward_publisher* publisher, homeward_class event_class,
                                   const char* type, size_t type_bytes, const char* json,
                                   size_t json_bytes, int64_t time_us) {
    return homeward_emit_json_wait(publisher, event_class, type, type_bytes, json, json_bytes,
                                   time_us, 0);
}

homeward_result homeward_emit_json_wait(homeward_publisher* publisher, homeward_class event_class,
                                        const char* type, size_t type_bytes, const char* json,
                                        size_t json_bytes, int64_t time_us, uint32_t deadline_ms) {
    const bool is_text = type != nullptr && json != nullptr;
    if (publisher == nullptr || !is_text || !is_class(event_class)) {
        return homeward_refuse(publisher, event_class, HOMEWARD_INVALID);
    }
    return emit_within(deadline_ms, [&] {
        const std::string_view name{type, type_bytes};
        return publisher->publisher.emit_json(name, class_of(event_class), {json, json_bytes},
                                              time_us, publisher->required_of(name));
    });
}

int homeward_explain_json(const homeward_publisher* publisher, const char* type, size_t type_bytes,
                          const char* json, size_t json_bytes, int64_t time_us, char* why,
                          size_t why_bytes) {
    if (publisher == nullptr || type == nullptr || json == nullptr) {
        explain_to("a null pointer", why, why_bytes);
        return 1;
    }
    try {
        const std::string_view name{type, type_bytes};
        const std::string problem = homeward::Publisher::explain_json(
            name, {json, json_bytes}, time_us, publisher->required_of(name));
        explain_to(problem.c_str(), why, why_bytes);
        return problem.empty() ? 0 : 1;
    } catch (const std::bad_alloc&) {
        explain_to("no memory to say why", why, why_bytes);
        return 1;
    }
}

homeward_type* homeward_define(homeward_publisher* publisher, const char* name,
                               homeward_class event_class, const homeward_field* fields,
                               size_t field_count) {
    return homeward_define_required(publisher, name, event_class, fields, field_count, nullptr, 0);
}

homeward_type* homeward_define_required(homeward_publisher* publisher, const char* name,
                                        homeward_class event_class, const homeward_field* fields,
                                        size_t field_count, const char* const* required,
                                        size_t required_count) {
    if (required == nullptr && required_count > 0) return nullptr;
    const std::span wanted(required, required_count);
    if (publisher == nullptr || !is_name(name, kTypeNameBytesMax) || !is_class(event_class) ||
        field_count > kFieldsMax || (fields == nullptr && field_count > 0)) {
        return nullptr;
    }
    try {
        auto type = std::make_unique<homeward_type>();
        type->name = name;
        type->field_names.reserve(field_count);  // so that their views stay
        for (std::size_t i = 0; i < field_count; ++i) {
            const homeward_kind kind = fields[i].kind;
            if (!is_name(fields[i].name, kFieldNameBytesMax) || !is_kind(kind)) return nullptr;
            type->kinds.push_back(kind);
            const std::string_view field = type->field_names.emplace_back(fields[i].name);
            type->fields.push_back({field, record_kind(kind)});
        }
        if (!require(*type, wanted)) return nullptr;
        type->descriptor = {
            type->name, class_of(event_class), type->fields,
            homeward::descriptor_hash(type->name, class_of(event_class), type->fields)};
        const std::lock_guard lock(publisher->mutex);
        type->before = publisher->newest.load(std::memory_order_relaxed);
        homeward_type* defined = publisher->types.emplace_back(std::move(type)).get();
        publisher->newest.store(defined, std::memory_order_release);
        return defined;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// NOLINTEND(readability-function-size)

homeward_result homeward_emit(homeward_publisher* publisher, const homeward_type* type,
                              const homeward_value* values, size_t value_count) {
    return homeward_emit_wait(publisher, type, values, value_count, 0);
}

homeward_result homeward_emit_wait(homeward_publisher* publisher, const homeward_type* type,
                                   const homeward_value* values, size_t value_count,
                                   uint32_t deadline_ms) {
    if (publisher == nullptr || type == nullptr) {
        return homeward_refuse(publisher, HOMEWARD_AUDIT, HOMEWARD_INVALID);
    }
    Values event{*type, {values, value_count}};
    const bool has_all =
        value_count == type->kinds.size() && (values != nullptr || value_count == 0);
    const homeward_result checked = has_all ? check(event) : HOMEWARD_INVALID;
    if (checked != HOMEWARD_ACCEPTED) {
        const auto event_class = static_cast<homeward_class>(type->descriptor.event_class);
        return homeward_refuse(publisher, event_class, checked);
    }
    return emit_within(deadline_ms, [&] {
        return publisher->publisher.emit_record(type->descriptor, record_bytes(event), &event,
                                                write_record);
    });
}

homeward_result homeward_refuse(homeward_publisher* publisher, homeward_class event_class,
                                homeward_result why) {
    if (publisher == nullptr) return HOMEWARD_INVALID;
    const EventClass counted = is_class(event_class) ? class_of(event_class) : EventClass::audit;
    const bool is_its_own = why == HOMEWARD_INCOMPLETE || why == HOMEWARD_TOO_LARGE;
    const EmitResult reason = is_its_own ? static_cast<EmitResult>(why) : EmitResult::invalid;
    return code_of(publisher->publisher.refuse(counted, reason));
}
