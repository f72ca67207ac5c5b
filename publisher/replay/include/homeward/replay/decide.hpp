#pragma once

// The decision of the replay helper, pure: what happened goes in, what to answer comes out.
// Nothing here knows HTTP libraries, PostgreSQL or NATS.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace homeward::replay {

/// SQLSTATE of "cannot execute … in a read-only transaction".
inline constexpr std::string_view kReadOnlySqlTransaction = "25006";

/// The platform replays no request with a larger body (its documentation: 1 MB).
inline constexpr std::size_t kReplayBodyBytesMax = 1'000'000;

/// Where this process runs. Empty names mean that there is only one region.
struct Regions {
    std::string primary;  ///< PRIMARY_REGION
    std::string current;  ///< FLY_REGION

    bool is_primary() const { return primary.empty() || current.empty() || primary == current; }
};

/// What happened to one request. Views are borrowed for the call.
struct Situation {
    std::string_view method;     ///< "GET", "POST" …
    std::string_view sqlstate;   ///< of the error that the handler met; empty: none
    bool has_handler_run = false;
    bool was_replayed = false;   ///< the request bears fly-replay-src
    bool is_websocket = false;   ///< an upgrade, which cannot be replayed
    std::size_t body_bytes = 0;  ///< as Content-Length says
};

/// How eagerly to replay.
struct Policy {
    /// Replay POST, PUT, PATCH and DELETE before their handler runs: spares the work that would
    /// be thrown away, and any side effect of it. Off: only a read-only error replays.
    bool writes_by_method = false;
    std::uint32_t retry_after_s = 5;
};

enum class Verdict : std::uint8_t {
    proceed,  ///< answer as the app would
    replay,   ///< answer 409 with fly-replay: the platform sends the request to the primary
    refuse,   ///< answer `status`; a replay would not help, or is not possible
};

/// Why; each has one rule in publisher/replay/README.md and one test.
enum class Reason : std::uint8_t {
    none,
    write_method,            ///< a write by its method, in a replica region
    read_only_error,         ///< 25006 in a replica region
    primary_is_read_only,    ///< 25006 in the primary region: 503
    replayed_yet_read_only,  ///< 25006 on a request that was replayed already: 503
    body_too_large,          ///< a write that the platform cannot replay: 413
    websocket,               ///< an upgrade that writes: 503
};

struct Decision {
    Verdict verdict = Verdict::proceed;
    Reason reason = Reason::none;
    int status = 0;                   ///< to answer with, unless proceed
    std::uint32_t retry_after_s = 0;  ///< 0: no Retry-After
};

Decision decide(const Situation& situation, const Regions& regions, const Policy& policy = {});

/// "read_only_error": for logs and metric labels.
std::string_view name_of(Reason reason);
/// One sentence for a person.
std::string_view explain(Reason reason);

/// The value of the fly-replay header that sends a request to a region: "region=scl". Empty when
/// `region` is no region name, so that nothing can be smuggled into a header.
std::string replay_to(std::string_view region);

}  // namespace homeward::replay
