#pragma once

/// @file
/// The platform's replay protocol: what an app may ask for, as header or as JSON, and what a
/// replayed request carries. Fields as in Fly's "Dynamic Request Routing" page. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homeward::replay {

/// Content-Type of an answer whose body is json_form(). The header form needs none.
inline constexpr std::string_view kReplayContentType = "application/vnd.fly.replay+json";

/// Longest state that is accepted; it comes back in a request header.
inline constexpr std::size_t kStateBytesMax = 256;
/// A fly-replay-src or fly-replay-failed longer than this is not read.
inline constexpr std::size_t kReplayHeaderBytesMax = 2048;

/// Where the platform takes a request that it cannot bring to its target.
enum class Fallback : std::uint8_t {
    none,         ///< an error for the client
    prefer_self,  ///< to the machine that asked, or another one of its app
    force_self,   ///< to the machine that asked
};

/// What to ask of the platform. Empty fields are left out.
struct ReplayTarget {
    /// One region, or several by preference: "scl", "scl,gru,any".
    std::string region;
    std::string instance;         ///< this machine and no other
    std::string prefer_instance;  ///< this machine if it can be had
    std::string app;              ///< another app of the organization
    std::string state;            ///< comes back in fly-replay-src; [A-Za-z0-9._~:/+@%=-]
    bool elsewhere = false;       ///< any machine but the one that answers
    /// How long the platform tries before `fallback` or an error; 0: its own default.
    std::uint32_t timeout_ms = 0;
    /// What happens if the target is not reached.
    Fallback fallback = Fallback::none;
};

/// What is wrong with a target; nothing of it reaches a header then.
enum class TargetError : std::uint8_t {
    none,
    names_nothing,  ///< neither region, instance, app nor elsewhere
    bad_region,     ///< not [a-z0-9_-], or an empty name in the list
    bad_instance,   ///< not [A-Za-z0-9_-], or both instance and prefer_instance
    bad_app,        ///< not [a-z0-9_-]
    bad_state,      ///< too long, or holds what could end the field or the header
};

/// Checks a target. Any thread.
/// @param target what to ask for
/// @return none, or the first error
TargetError check(const ReplayTarget& target);
/// Explains an error to a person. Any thread.
/// @param error any
/// @return one sentence, a literal
std::string_view explain(TargetError error);

/// Formats the fly-replay header: "region=scl;state=cart". Any thread.
/// @param target what to ask for
/// @return the header's value; empty if check() finds an error
std::string header_form(const ReplayTarget& target);
/// Formats the same as a JSON object, for an answer of kReplayContentType. Any thread.
/// @param target what to ask for
/// @return the body; empty if check() finds an error
std::string json_form(const ReplayTarget& target);

/// fly-replay-src: who asked for the replay. Any client may send this header where the platform
/// does not strip it: believe that a replay happened, which can only make us more careful, and
/// nothing else of it.
struct ReplaySource {
    std::string instance;       ///< the machine that asked
    std::string region;         ///< its region
    std::string state;          ///< ReplayTarget::state
    std::uint64_t time_us = 0;  ///< microseconds since 1970-01-01 UTC; 0: not told
};
/// Parses fly-replay-src; unknown fields are skipped. Any thread.
/// @param value the header's value
/// @return nothing if it is malformed, names a field twice, or is longer than kReplayHeaderBytesMax
std::optional<ReplaySource> parse_replay_src(std::string_view value);

/// fly-replay-failed: the target was not reached, and the request is back here. `detail` is the
/// header's text, cut to what is safe to log; its fields are the platform's own affair.
struct ReplayFailure {
    std::string detail;  ///< the header's text, safe to log
};
/// Parses fly-replay-failed. Any thread.
/// @param value the header's value
/// @return nothing if it is empty or longer than kReplayHeaderBytesMax
std::optional<ReplayFailure> parse_replay_failed(std::string_view value);

}  // namespace homeward::replay
