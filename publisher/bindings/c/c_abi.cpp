// homeward.h on top of the C++ publisher. Nothing here keeps an exception from C++ from becoming a
// code, and nothing but what homeward.h declares leaves the shared library (c_abi.map).

#include <homeward.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>

#include <homeward/request_scope.hpp>

#include "publisher/bindings/c/c_abi_handles.hpp"

using homeward::code_of;
using homeward::EmitResult;
using homeward::explain_to;
using homeward::options_from;

struct homeward_scope {
    homeward_scope(homeward::Publisher& publisher, const homeward::RequestScopeOptions& options)
        : scope(publisher, options) {}
    homeward::RequestScope scope;
};

namespace {

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
        explain_to("options.size is not sizeof(homeward_options)", why, why_bytes);
        return nullptr;
    }
    try {
        return new homeward_publisher(options_from(*options));
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return nullptr;
    }
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
                             refusals_of(now.metric),
                             now.metric.dropped,
                             now.audit.scrubbed,
                             now.metric.scrubbed};
    std::memcpy(stats, &all, std::min(stats->size, sizeof all));
    return 1;
}

homeward_scope* homeward_scope_begin(homeward_publisher* publisher, size_t bytes_max) {
    if (publisher == nullptr) return nullptr;
    homeward::RequestScopeOptions options;
    if (bytes_max != 0) options.bytes_max = bytes_max;
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
