// homeward.h on top of the C++ publisher. Nothing here keeps an exception from C++ from becoming a
// code, and nothing but what homeward.h declares leaves the shared library (c_abi.map).

#include <homeward.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <homeward/request_scope.hpp>

using homeward::EmitResult;
using homeward::EventClass;
using homeward::RecordKind;

/// A type that was described at run time. Never moves: threads remember its descriptor's address.
struct homeward_type {
    std::string name;
    std::vector<std::string> field_names;
    std::vector<homeward_kind> kinds;
    std::vector<bool> is_required;
    std::vector<std::string_view> required;  // names
    std::vector<homeward::FieldDescriptor> fields;
    homeward::TypeDescriptor descriptor;
    const homeward_type* before = nullptr;  // defined before this one
};

struct homeward_publisher {
    explicit homeward_publisher(homeward::PublisherOptions options)
        : publisher(std::move(options)) {}

    /// What emits of JSON ask for; no lock.
    std::span<const std::string_view> required_of(std::string_view type_name) const {
        const homeward_type* type = newest.load(std::memory_order_acquire);
        while (type != nullptr && type->name != type_name) type = type->before;
        return type == nullptr ? std::span<const std::string_view>{} : type->required;
    }

    std::mutex mutex;  // guards types
    std::vector<std::unique_ptr<homeward_type>> types;
    std::atomic<const homeward_type*> newest{nullptr};
    homeward::Publisher publisher;  // ends first: it refers to the types
};

struct homeward_scope {
    homeward_scope(homeward::Publisher& publisher, const homeward::RequestScopeOptions& options)
        : scope(publisher, options) {}
    homeward::RequestScope scope;
};

namespace {

constexpr std::size_t kFieldsMax = 64;  // bits of a record's presence
constexpr std::size_t kTypeNameBytesMax = 48;
constexpr std::size_t kFieldNameBytesMax = 63;

constexpr bool is_same(EmitResult result, homeward_result code) {
    return static_cast<int>(result) == static_cast<int>(code);
}
static_assert(is_same(EmitResult::accepted, HOMEWARD_ACCEPTED) &&
              is_same(EmitResult::held, HOMEWARD_HELD) &&
              is_same(EmitResult::dropped, HOMEWARD_DROPPED) &&
              is_same(EmitResult::full, HOMEWARD_FULL) &&
              is_same(EmitResult::scope_full, HOMEWARD_SCOPE_FULL) &&
              is_same(EmitResult::too_large, HOMEWARD_TOO_LARGE) &&
              is_same(EmitResult::closed, HOMEWARD_CLOSED) &&
              is_same(EmitResult::invalid, HOMEWARD_INVALID) &&
              is_same(EmitResult::incomplete, HOMEWARD_INCOMPLETE) &&
              is_same(EmitResult::unavailable, HOMEWARD_UNAVAILABLE));
homeward_result code_of(EmitResult result) {
    return static_cast<homeward_result>(result);
}

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

/// What the caller knows of the struct, the rest zero.
template <typename Struct>
Struct as_known(const Struct& given) {
    Struct known{};
    std::memcpy(&known, &given, std::min(given.size, sizeof known));
    return known;
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (end > 0) parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

template <typename Text>
void set(Text& option, const char* given) {
    if (given != nullptr) option = given;
}
void set(std::size_t& option, std::size_t given) {
    if (given != 0) option = given;
}

/// Lines as datagrams. A forked child has the socket too, and may have closed it with all that it
/// did not know: its number may be another file's then.
class LogSocket {
  public:
    explicit LogSocket(int fd) : fd_(fd), inode_(inode_of(fd)) {}

    void send(std::string_view line) const {
        constexpr std::size_t kLineBytesMax = 4096;
        if (inode_ == 0 || inode_of(fd_) != inode_) return;
        ::send(fd_, line.data(), std::min(line.size(), kLineBytesMax), MSG_DONTWAIT | MSG_NOSIGNAL);
    }

  private:
    static ino_t inode_of(int fd) {
        struct stat status {};
        return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
    }

    int fd_;
    ino_t inode_;
};

std::function<void(std::string_view)> log_of(const homeward_options& given) {
    if (given.on_log == nullptr && given.log_socket <= 0) return {};
    return [log = given.on_log, context = given.log_context,
            socket = LogSocket(given.log_socket)](std::string_view line) {
        if (log != nullptr) log(context, line.data(), line.size());
        socket.send(line);
    };
}

homeward::PublisherOptions options_from(const homeward_options& given) {
    homeward::PublisherOptions options;
    set(options.region, given.region);
    set(options.app, given.app);
    if (given.nats_urls != nullptr) options.nats_urls = split(given.nats_urls);
    set(options.spool_dir, given.spool_dir);
    set(options.lane_dir, given.lane_dir);
    if (given.durability == HOMEWARD_SURVIVES_MACHINE) {
        options.durability = homeward::Durability::disk;
    }
    if (given.linger_ms != 0) options.linger = std::chrono::milliseconds(given.linger_ms);
    set(options.frame_bytes, given.frame_bytes);
    set(options.lane_bytes, given.lane_bytes);
    set(options.lanes_max, given.lanes_max);
    set(options.log_bytes_max, given.log_bytes_max);
    set(options.spool_bytes_max, given.spool_bytes_max);
    set(options.in_flight_max, given.in_flight_max);
    set(options.in_flight_bytes_max, given.in_flight_bytes_max);
    if (given.frame_version != 0) {
        options.frame_version =
            static_cast<std::uint8_t>(std::min<std::uint32_t>(given.frame_version, UINT8_MAX));
    }
    set(options.credentials_file, given.credentials_file);
    set(options.nkey_seed_file, given.nkey_seed_file);
    set(options.tls_ca_file, given.tls_ca_file);
    set(options.tls_cert_file, given.tls_cert_file);
    set(options.tls_key_file, given.tls_key_file);
    options.on_log = log_of(given);
    return options;
}

void explain(const char* what, char* why, std::size_t why_bytes) {
    if (why == nullptr || why_bytes == 0) return;
    const std::size_t bytes = std::min(std::strlen(what), why_bytes - 1);
    std::memcpy(why, what, bytes);
    why[bytes] = '\0';
}

/// One event on its way into a lane.
struct Values {
    const homeward_type& type;
    const homeward_value* values;
};

std::string_view text_of(const homeward_value& value) {
    return {value.as.text.bytes, value.as.text.size};
}

/// HOMEWARD_ACCEPTED, or what is wrong with the values.
homeward_result check(const Values& event) {
    for (std::size_t i = 0; i < event.type.kinds.size(); ++i) {
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
    for (std::size_t i = 0; i < event.type.kinds.size(); ++i) {
        const homeward_value& value = event.values[i];
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
    const std::size_t count = event.type.kinds.size();
    std::uint64_t presence = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (event.values[i].kind != HOMEWARD_ABSENT) presence |= std::uint64_t{1} << i;
    }
    at = homeward::put_raw(at, event.type.descriptor.hash);
    at = homeward::put_raw(at, time_us);
    at = homeward::put_raw(at, presence);
    for (std::size_t i = 0; i < count; ++i) {
        const homeward_value& value = event.values[i];
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

int tell(const homeward::FlushResult& result, std::uint64_t* events_left) {
    if (events_left != nullptr) *events_left = result.events_left;
    return result.done ? 1 : 0;
}

homeward_class_stats stats_of(const homeward::ClassStats& from) {
    return {from.accepted,   from.in_lanes,  from.in_log,       from.acked,
            from.tombstoned, from.refused,   from.retries,      from.wire_bytes,
            from.json_bytes, from.log_bytes, from.log_bytes_max};
}

homeward_refusals refusals_of(const homeward::ClassStats& from) {
    const homeward::RefusalStats& by = from.refused_by;
    return {by.lane_full, by.scope_full, by.too_large,   by.type_unwritable,
            by.invalid,   by.incomplete, by.unavailable, by.closed};
}

}  // namespace

uint32_t homeward_abi_version() {
    return HOMEWARD_ABI_VERSION;
}
const char* homeward_version() {
    return HOMEWARD_VERSION;
}

const char* homeward_result_text(homeward_result result) {
    switch (result) {
        case HOMEWARD_ACCEPTED:
            return "accepted";
        case HOMEWARD_HELD:
            return "held by the request's scope";
        case HOMEWARD_DROPPED:
            return "no room, so the metric was dropped";
        case HOMEWARD_FULL:
            return "no room";
        case HOMEWARD_SCOPE_FULL:
            return "the request's scope holds all that it may";
        case HOMEWARD_TOO_LARGE:
            return "the event is larger than 256 KiB or than half a lane, or a text than 64 KiB";
        case HOMEWARD_CLOSED:
            return "the publisher is closed";
        case HOMEWARD_UNAVAILABLE:
            return "this forked process could not open a publisher of its own";
        case HOMEWARD_INVALID:
            return "a null handle, values that do not fit the event type, or no event in JSON; "
                   "homeward_explain_json() says more";
        case HOMEWARD_INCOMPLETE:
            return "a required field was not set";
    }
    return "a code that this version does not know";
}

homeward_publisher* homeward_open(const homeward_options* options, char* why, size_t why_bytes) {
    if (options == nullptr || options->size < offsetof(homeward_options, nats_urls)) {
        explain("options.size is not sizeof(homeward_options)", why, why_bytes);
        return nullptr;
    }
    try {
        return new homeward_publisher(options_from(as_known(*options)));
    } catch (const std::exception& error) {
        explain(error.what(), why, why_bytes);
        return nullptr;
    }
}

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
    if (publisher == nullptr || !is_text || !is_class(event_class)) return HOMEWARD_INVALID;
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
        explain("a null pointer", why, why_bytes);
        return 1;
    }
    try {
        const std::string_view name{type, type_bytes};
        const std::string problem = homeward::Publisher::explain_json(
            name, {json, json_bytes}, time_us, publisher->required_of(name));
        explain(problem.c_str(), why, why_bytes);
        return problem.empty() ? 0 : 1;
    } catch (const std::bad_alloc&) {
        explain("no memory to say why", why, why_bytes);
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

homeward_result homeward_emit(homeward_publisher* publisher, const homeward_type* type,
                              const homeward_value* values, size_t value_count) {
    return homeward_emit_wait(publisher, type, values, value_count, 0);
}

homeward_result homeward_emit_wait(homeward_publisher* publisher, const homeward_type* type,
                                   const homeward_value* values, size_t value_count,
                                   uint32_t deadline_ms) {
    if (publisher == nullptr || type == nullptr) return HOMEWARD_INVALID;
    if (value_count != type->kinds.size() || (values == nullptr && value_count > 0)) {
        return HOMEWARD_INVALID;
    }
    Values event{*type, values};
    if (const homeward_result result = check(event); result != HOMEWARD_ACCEPTED) return result;
    return emit_within(deadline_ms, [&] {
        return publisher->publisher.emit_record(type->descriptor, record_bytes(event), &event,
                                                write_record);
    });
}

int homeward_flush(homeward_publisher* publisher, uint32_t deadline_ms, homeward_until until,
                   uint64_t* events_left) {
    if (publisher == nullptr) return 0;
    const auto goal =
        until == HOMEWARD_LOGGED ? homeward::FlushUntil::logged : homeward::FlushUntil::stream;
    return tell(publisher->publisher.flush(std::chrono::milliseconds(deadline_ms), goal),
                events_left);
}

int homeward_close(homeward_publisher* publisher, uint32_t deadline_ms, uint64_t* events_left) {
    if (publisher == nullptr) return 0;
    return tell(publisher->publisher.close(std::chrono::milliseconds(deadline_ms)), events_left);
}

void homeward_free(homeward_publisher* publisher) {
    delete publisher;
}

int homeward_get_stats(const homeward_publisher* publisher, homeward_stats* stats) {
    if (publisher == nullptr || stats == nullptr) return 0;
    const homeward::Stats now = publisher->publisher.stats();
    const homeward_stats all{stats->size,
                             stats_of(now.audit),
                             stats_of(now.metric),
                             now.spools_recovering,
                             now.connected ? 1 : 0,
                             refusals_of(now.audit),
                             refusals_of(now.metric)};
    std::memcpy(stats, &all, std::min(stats->size, sizeof all));
    return 1;
}

homeward_scope* homeward_scope_begin(homeward_publisher* publisher, size_t bytes_max) {
    if (publisher == nullptr) return nullptr;
    homeward::RequestScopeOptions options;
    set(options.bytes_max, bytes_max);
    try {
        return new homeward_scope(publisher->publisher, options);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

int homeward_scope_enter(homeward_scope* scope) {
    if (scope == nullptr) return 0;
    try {
        scope->scope.enter();
        return 1;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

void homeward_scope_leave(homeward_scope* scope) {
    if (scope != nullptr) scope->scope.leave();
}

homeward_result homeward_scope_publish(homeward_scope* scope) {
    return scope == nullptr ? HOMEWARD_INVALID : code_of(scope->scope.publish());
}

void homeward_scope_drop(homeward_scope* scope) {
    if (scope != nullptr) scope->scope.drop();
}

size_t homeward_scope_held(const homeward_scope* scope) {
    return scope == nullptr ? 0 : scope->scope.held();
}

void homeward_scope_end(homeward_scope* scope) {
    delete scope;
}
