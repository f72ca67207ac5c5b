#include <homeward/replay/decide.hpp>

#include <algorithm>

namespace homeward::replay {
namespace {

bool is_write_method(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
}

bool wants_primary(const Situation& situation, const Policy& policy) {
    if (situation.sqlstate == kReadOnlySqlTransaction) return true;
    return !situation.has_handler_run && policy.writes_by_method &&
           is_write_method(situation.method);
}

Decision refuse(Reason reason, int status, std::uint32_t retry_after_s) {
    return {Verdict::refuse, reason, status, retry_after_s};
}

}  // namespace

Decision decide(const Situation& situation, const Regions& regions, const Policy& policy) {
    if (!wants_primary(situation, policy)) return {};
    const bool has_failed = situation.sqlstate == kReadOnlySqlTransaction;
    if (regions.is_primary()) {
        // The leader itself may be read-only, for example with a full disk: a replay would loop.
        if (!has_failed) return {};
        return refuse(Reason::primary_is_read_only, 503, policy.retry_after_s);
    }
    if (situation.was_replayed) {
        if (!has_failed) return {};
        return refuse(Reason::replayed_yet_read_only, 503, policy.retry_after_s);
    }
    if (situation.is_websocket) return refuse(Reason::websocket, 503, policy.retry_after_s);
    if (situation.body_bytes > kReplayBodyBytesMax) return refuse(Reason::body_too_large, 413, 0);
    return {Verdict::replay, has_failed ? Reason::read_only_error : Reason::write_method, 409, 0};
}

std::string_view name_of(Reason reason) {
    switch (reason) {
        case Reason::none: return "none";
        case Reason::write_method: return "write_method";
        case Reason::read_only_error: return "read_only_error";
        case Reason::primary_is_read_only: return "primary_is_read_only";
        case Reason::replayed_yet_read_only: return "replayed_yet_read_only";
        case Reason::body_too_large: return "body_too_large";
        case Reason::websocket: return "websocket";
    }
    return "none";
}

std::string_view explain(Reason reason) {
    switch (reason) {
        case Reason::none: return "served here";
        case Reason::write_method: return "a write: replayed in the primary region";
        case Reason::read_only_error:
            return "it wrote to a read replica: replayed in the primary region";
        case Reason::primary_is_read_only:
            return "the primary region's database is read-only just now";
        case Reason::replayed_yet_read_only:
            return "replayed once, and the database there is read-only too";
        case Reason::body_too_large: return "a write of more than 1 MB cannot be replayed";
        case Reason::websocket: return "a WebSocket cannot be replayed; connect to the primary";
    }
    return "";
}

std::string replay_to(std::string_view region) {
    const bool is_name =
        !region.empty() && region.size() <= 63 &&
        std::all_of(region.begin(), region.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        });
    return is_name ? "region=" + std::string(region) : std::string();
}

}  // namespace homeward::replay
