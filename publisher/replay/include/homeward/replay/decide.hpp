#pragma once

/// @file
/// The replay decision as pure functions: what happened goes in, what to answer comes out. It
/// depends on no HTTP library, PostgreSQL or NATS. Any thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

/// The platform replays no request with a larger body (its documentation: 1 MB).
inline constexpr std::size_t kReplayBodyBytesMax = 1'000'000;

/// Where this process runs. Empty names mean that there is only one region.
struct Regions {
    std::string primary;  ///< PRIMARY_REGION
    std::string current;  ///< FLY_REGION

    /// Whether this process runs in the primary region.
    /// @return true also if there is only one region
    bool is_primary() const { return primary.empty() || current.empty() || primary == current; }
};

/// What the server at the other end of a connection is (libpq's parameters in_hot_standby and
/// default_transaction_read_only).
enum class ServerRole : std::uint8_t {
    unknown,            ///< not asked, or a server before PostgreSQL 14 behind libpq
    primary,            ///< takes writes: a read-only error on it is the app's own READ ONLY
    standby,            ///< a read replica
    read_only_primary,  ///< no standby, but refuses writes by default: a full disk, a switchover
};
/// The name of a role as in rules.json, "read_only_primary". Any thread.
/// @param role any
/// @return a literal
std::string_view name_of(ServerRole role);

/// What a session has seen, against what the local replica has.
enum class Coverage : std::uint8_t {
    not_asked,           ///< no token, or the app takes what it finds
    covered,             ///< the replica has all that the session has seen
    behind,              ///< it has not, and did not within the wait
    different_timeline,  ///< the token is of another timeline or system: a failover, a restore
    other_history [[deprecated("use different_timeline")]] = different_timeline,  ///< in 0.1
    position_unknown,  ///< the replica cannot be asked just now
    primary_only,      ///< the app wants this read to be served by the primary
};

/// The name as in rules.json, "behind". Any thread.
/// @param coverage any
/// @return a literal
std::string_view name_of(Coverage coverage);

/// What happened to one request. Views are borrowed for the call.
struct Situation {
    std::string_view method;         ///< "GET", "POST" …
    Cause cause = Cause::none;       ///< of the error that the handler met
    bool has_handler_run = false;    ///< decide() is asked after the handler
    bool was_replayed = false;       ///< the request bears fly-replay-src
    bool has_replay_failed = false;  ///< it bears fly-replay-failed: the primary was not reached
    bool is_websocket = false;       ///< an upgrade, which cannot be replayed
    bool is_length_unknown = false;  ///< a body without Content-Length: chunked
    std::size_t body_bytes = 0;      ///< as Content-Length says, or as far as it was read
    /// Of the connection that met the error; before the handler, of the one that it will use.
    ServerRole server_role = ServerRole::unknown;
    /// What the session has seen, compared with the replica.
    Coverage coverage = Coverage::not_asked;
};

/// How eagerly to replay.
struct Policy {
    /// Replay every method but GET, HEAD, OPTIONS and TRACE before its handler runs: spares the
    /// work that would be thrown away, and any side effect of it. Off: only an error replays.
    bool writes_by_method = false;
    /// Replay Cause::unsupported (0A000) as well. Right for SERIALIZABLE transactions and unlogged
    /// tables, which a hot standby refuses; for any other 0A000 the primary gives the same answer,
    /// one trip later.
    bool unsupported_on_standby = true;
    /// Replay Cause::unknown_name (42P01, 42703, 42883) as well: the replica may not have a
    /// migration yet. Off, since a misspelt name would send each of its requests to the primary.
    bool schema_lag = false;
    /// Replay Cause::conflict (40001, 40P01) as well: a standby cancels a long read that needs rows
    /// which its primary has vacuumed away (max_standby_streaming_delay), and would cancel it
    /// again. Nothing was committed, so that the primary can answer it. Off for an app that tries
    /// again itself.
    bool recovery_conflict = true;
    /// Replay a read (GET, HEAD, OPTIONS, TRACE) whose replica is down: slower, but answered. Off:
    /// 503, and the primary is spared the reads of a whole region.
    bool replica_down = true;
    /// Let a write method with more than 1 MB, or of unknown length, run here, for uploads that do
    /// not touch the database. Off: it is refused, or replayed, before its body is read, since it
    /// could not be replayed after.
    bool large_writes_here = false;
    /// Let a WebSocket be opened here, for connections that only read, or write by forwarded calls.
    /// Off: it is refused, since a write on it could not be replayed later.
    bool websockets_here = false;
    /// Seconds in Retry-After of a 503.
    std::uint32_t retry_after_s = 5;
};

/// What to do with a request.
enum class Verdict : std::uint8_t {
    proceed,  ///< answer as the app would
    replay,   ///< answer 409 with fly-replay: the platform sends the request to the primary
    refuse,   ///< answer `status`; a replay would not help, or is not possible
};

/// Why a request is replayed or refused; each has one rule in publisher/replay/README.md and one
/// test.
enum class Reason : std::uint8_t {
    none,
    write_method,            ///< a write by its method, in a replica region
    length_unknown,          ///< a write without Content-Length: goes before its body is read
    read_only_error,         ///< 25006 in a replica region
    unsupported_on_standby,  ///< 0A000 in a replica region
    schema_lag,              ///< an unknown table, column or function in a replica region
    recovery_conflict,       ///< 40001, 40P01 of a standby: cancelled for the log it applies
    replica_down,            ///< a read whose replica cannot be reached
    replica_behind,          ///< the session has seen more than the replica
    different_timeline,      ///< the session's token is of another timeline or system
    other_history [[deprecated("use different_timeline")]] = different_timeline,  ///< in 0.1
    position_unknown,          ///< nobody knows where the replica is
    strong_read,               ///< the app asked for the primary
    primary_is_read_only,      ///< 25006 of a server that is no standby: 503
    primary_is_standby,        ///< a standby in the primary region, a failover: 503
    database_down,             ///< the connection to the database was lost or refused: 503
    replayed_yet_not_primary,  ///< it needs the primary and was replayed already: 503
    replay_failed,             ///< the platform did not reach the primary: 503
    body_too_large,            ///< a request that the platform cannot replay: 413
    websocket,                 ///< an upgrade in a replica region: 403, or 503 for a while
};
/// The number of reasons.
inline constexpr std::size_t kReasons = static_cast<std::size_t>(Reason::websocket) + 1;

/// The result of decide().
struct Decision {
    Verdict verdict = Verdict::proceed;  ///< what to do
    Reason reason = Reason::none;        ///< why
    int status = 0;                      ///< HTTP status to answer with, unless proceed
    std::uint32_t retry_after_s = 0;     ///< seconds; 0: no Retry-After
};

/// Decides about one request. Call it twice: before the handler runs, and after the handler met a
/// database error. Any thread.
/// @param situation what happened
/// @param regions where this process runs
/// @param policy how eagerly to replay
/// @return what to answer
Decision decide(const Situation& situation, const Regions& regions, const Policy& policy = {});

/// Whether an Upgrade header asks for a WebSocket, possibly among others. Any thread.
/// @param upgrade the header's value
/// @return true if one of its protocols is websocket
bool names_websocket(std::string_view upgrade);

/// The name as in rules.json, "replay". Any thread.
/// @param verdict any
/// @return a literal
std::string_view name_of(Verdict verdict);
/// The name for logs and metric labels, "read_only_error". Any thread.
/// @param reason any
/// @return a literal
std::string_view name_of(Reason reason);
/// Explains a reason to a person. Any thread.
/// @param reason any
/// @return one sentence, a literal
std::string_view explain(Reason reason);

/// Formats the fly-replay header that sends a request to a region: "region=scl". Any thread.
/// @param region the region's name
/// @return the header's value; empty if `region` is no region name, which prevents header injection
std::string replay_to(std::string_view region);

}  // namespace homeward::replay
