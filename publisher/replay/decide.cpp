#include <homeward/replay/decide.hpp>
#include <homeward/replay/fly_replay.hpp>

#include <algorithm>

namespace homeward::replay {
namespace {

/// Whatever is not known to be safe (RFC 9110, 9.2.1) may write.
bool is_write_method(std::string_view method) {
    return method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "TRACE";
}

bool is_primary(ServerRole role) {
    return role == ServerRole::primary || role == ServerRole::read_only_primary;
}

/// Why the database's error means the primary; none when it does not.
Reason reason_of_error(const Situation& situation, const Policy& policy) {
    switch (situation.cause) {
        case Cause::read_only:
            return Reason::read_only_error;
        case Cause::conflict:
            // A primary's are the app's own: two writers that were in each other's way.
            return policy.recovery_conflict && !is_primary(situation.server_role)
                       ? Reason::recovery_conflict
                       : Reason::none;
        case Cause::unsupported:
            return policy.unsupported_on_standby ? Reason::unsupported_on_standby : Reason::none;
        case Cause::unknown_name:
            return policy.schema_lag ? Reason::schema_lag : Reason::none;
        default:
            return Reason::none;
    }
}

Reason reason_of_coverage(Coverage coverage) {
    switch (coverage) {
        case Coverage::not_asked:
        case Coverage::covered:
            return Reason::none;
        case Coverage::behind:
            return Reason::replica_behind;
        case Coverage::different_timeline:
            return Reason::different_timeline;
        case Coverage::position_unknown:
            return Reason::position_unknown;
        case Coverage::primary_only:
            return Reason::strong_read;
    }
    return Reason::none;
}

/// Why the request needs the primary; none when it can be served here.
Reason need_of(const Situation& situation, const Policy& policy) {
    if (situation.cause == Cause::connection) {
        const bool is_read = !is_write_method(situation.method);
        return is_read && policy.replica_down ? Reason::replica_down : Reason::database_down;
    }
    if (situation.cause != Cause::none) return reason_of_error(situation, policy);
    if (situation.has_handler_run) return Reason::none;
    if (is_write_method(situation.method)) {
        if (policy.writes_by_method) return Reason::write_method;
        if (situation.is_length_unknown && !policy.large_writes_here) return Reason::length_unknown;
    }
    return reason_of_coverage(situation.coverage);
}

bool is_large_write(const Situation& situation, const Policy& policy) {
    return !policy.large_writes_here && !situation.has_handler_run && !situation.was_replayed &&
           situation.body_bytes > kReplayBodyBytesMax && is_write_method(situation.method);
}

/// By its method or its length alone a replayed request may try here: this region may have become
/// the primary's.
bool may_try_here(Reason need) {
    return need == Reason::write_method || need == Reason::length_unknown;
}

/// What a client that comes again after a while may not meet any more.
bool passes_by_itself(Reason need) {
    return need == Reason::replica_behind || need == Reason::position_unknown ||
           need == Reason::different_timeline || need == Reason::replica_down ||
           need == Reason::recovery_conflict;
}

bool is_stale_here(Coverage coverage) {
    return coverage != Coverage::not_asked && coverage != Coverage::covered;
}

Decision refuse(Reason reason, int status, std::uint32_t retry_after_s) {
    return {Verdict::refuse, reason, status, retry_after_s};
}

/// In the primary region there is nowhere to replay to: it is answered, or refused.
Decision decide_at_home(const Situation& situation, const Policy& policy) {
    const std::uint32_t wait_s = policy.retry_after_s;
    if (situation.cause == Cause::connection) return refuse(Reason::database_down, 503, wait_s);
    const bool is_standby = situation.server_role == ServerRole::standby;
    if (is_standby && policy.recovery_conflict && situation.cause == Cause::conflict) {
        return refuse(Reason::primary_is_standby, 503, wait_s);
    }
    if (situation.cause == Cause::read_only) {
        if (situation.server_role == ServerRole::primary) return {};  // the app's READ ONLY
        return refuse(is_standby ? Reason::primary_is_standby : Reason::primary_is_read_only, 503,
                      wait_s);
    }
    // Another region has the primary now; what this one has may be older than what was seen.
    if (is_standby && !situation.has_handler_run && is_stale_here(situation.coverage)) {
        return refuse(Reason::primary_is_standby, 503, wait_s);
    }
    return {};
}

}  // namespace

Decision decide(const Situation& situation, const Regions& regions, const Policy& policy) {
    if (regions.is_primary()) return decide_at_home(situation, policy);
    const std::uint32_t wait_s = policy.retry_after_s;
    // A failover has made this region the primary's: everything can be done here.
    const bool is_promoted = is_primary(situation.server_role);
    if (is_promoted && !situation.has_handler_run) return {};

    if (situation.is_websocket && !policy.websockets_here && !situation.has_handler_run) {
        return refuse(Reason::websocket, 403, 0);  // it would be no other on its next try
    }
    if (is_large_write(situation, policy)) return refuse(Reason::body_too_large, 413, 0);
    const Reason need = need_of(situation, policy);
    if (need == Reason::none) return {};
    if (need == Reason::database_down) return refuse(need, 503, wait_s);
    if (need == Reason::read_only_error && is_promoted) {
        // It refuses writes (a full disk): the primary region would not do better. Or the app has
        // made its transaction READ ONLY, which is the app's to answer.
        return situation.server_role == ServerRole::primary
                   ? Decision{}
                   : refuse(Reason::primary_is_read_only, 503, wait_s);
    }
    if (situation.has_replay_failed) return refuse(Reason::replay_failed, 503, wait_s);
    if (situation.was_replayed) {
        return may_try_here(need) ? Decision{}
                                  : refuse(Reason::replayed_yet_not_primary, 503, wait_s);
    }
    if (situation.is_websocket) {
        return passes_by_itself(need) ? refuse(Reason::websocket, 503, wait_s)
                                      : refuse(Reason::websocket, 403, 0);
    }
    if (situation.body_bytes > kReplayBodyBytesMax) return refuse(Reason::body_too_large, 413, 0);
    return {Verdict::replay, need, 409, 0};
}

bool names_websocket(std::string_view upgrade) {
    constexpr std::string_view kName = "websocket";
    return std::search(upgrade.begin(), upgrade.end(), kName.begin(), kName.end(),
                       [](char a, char b) { return (a | 0x20) == b; }) != upgrade.end();
}

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::proceed:
            return "proceed";
        case Verdict::replay:
            return "replay";
        case Verdict::refuse:
            return "refuse";
    }
    return "proceed";
}

std::string_view name_of(ServerRole role) {
    switch (role) {
        case ServerRole::unknown:
            return "unknown";
        case ServerRole::primary:
            return "primary";
        case ServerRole::standby:
            return "standby";
        case ServerRole::read_only_primary:
            return "read_only_primary";
    }
    return "unknown";
}

std::string_view name_of(Coverage coverage) {
    switch (coverage) {
        case Coverage::not_asked:
            return "not_asked";
        case Coverage::covered:
            return "covered";
        case Coverage::behind:
            return "behind";
        case Coverage::different_timeline:
            return "different_timeline";
        case Coverage::position_unknown:
            return "position_unknown";
        case Coverage::primary_only:
            return "primary_only";
    }
    return "not_asked";
}

std::string_view name_of(Reason reason) {
    switch (reason) {
        case Reason::none:
            return "none";
        case Reason::write_method:
            return "write_method";
        case Reason::length_unknown:
            return "length_unknown";
        case Reason::read_only_error:
            return "read_only_error";
        case Reason::unsupported_on_standby:
            return "unsupported_on_standby";
        case Reason::schema_lag:
            return "schema_lag";
        case Reason::recovery_conflict:
            return "recovery_conflict";
        case Reason::replica_down:
            return "replica_down";
        case Reason::replica_behind:
            return "replica_behind";
        case Reason::different_timeline:
            return "different_timeline";
        case Reason::position_unknown:
            return "position_unknown";
        case Reason::strong_read:
            return "strong_read";
        case Reason::primary_is_read_only:
            return "primary_is_read_only";
        case Reason::primary_is_standby:
            return "primary_is_standby";
        case Reason::database_down:
            return "database_down";
        case Reason::replayed_yet_not_primary:
            return "replayed_yet_not_primary";
        case Reason::replay_failed:
            return "replay_failed";
        case Reason::body_too_large:
            return "body_too_large";
        case Reason::websocket:
            return "websocket";
    }
    return "none";
}

std::string_view explain(Reason reason) {
    switch (reason) {
        case Reason::none:
            return "served here";
        case Reason::write_method:
            return "a write: replayed in the primary region";
        case Reason::length_unknown:
            return "a write of unknown length: replayed in the primary region";
        case Reason::read_only_error:
            return "it wrote to a read replica: replayed in the primary region";
        case Reason::unsupported_on_standby:
            return "a read replica cannot do it: replayed in the primary region";
        case Reason::schema_lag:
            return "the replica does not know a name yet: replayed in the primary region";
        case Reason::recovery_conflict:
            return "the replica cancelled it to keep up: replayed in the primary region";
        case Reason::replica_down:
            return "the replica cannot be reached: replayed in the primary region";
        case Reason::replica_behind:
            return "the replica has not what this session wrote: replayed in the primary region";
        case Reason::different_timeline:
            return "the database was failed over or restored: replayed in the primary region";
        case Reason::position_unknown:
            return "the replica cannot be asked where it is: replayed in the primary region";
        case Reason::strong_read:
            return "must not be stale: replayed in the primary region";
        case Reason::primary_is_read_only:
            return "the primary database is read-only just now; try again";
        case Reason::primary_is_standby:
            return "the primary region's database is a standby just now; try again";
        case Reason::database_down:
            return "the database cannot be reached just now; try again";
        case Reason::replayed_yet_not_primary:
            return "replayed once, and here is no primary database either; try again";
        case Reason::replay_failed:
            return "the primary region was not reached; try again";
        case Reason::body_too_large:
            return "a request of more than 1 MB cannot be replayed";
        case Reason::websocket:
            return "a WebSocket cannot be replayed; connect to the primary region";
    }
    return "";
}

std::string replay_to(std::string_view region) {
    if (region.find(',') != std::string_view::npos) return {};
    ReplayTarget target;
    target.region = region;
    return header_form(target);
}

}  // namespace homeward::replay
