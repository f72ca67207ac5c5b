#pragma once

/// @file
/// Forwarded calls: types of client and server. publisher/forward/README.md has the rules.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace homeward::forward {

/// A key longer than this is refused; it is printable ASCII without spaces.
inline constexpr std::size_t kKeyBytesMax = 128;
/// An operation longer than this is refused; see is_valid_operation().
inline constexpr std::size_t kOperationBytesMax = 64;

/// How a call ended, as far as the caller can know.
enum class Outcome : std::uint8_t {
    ok,             ///< committed, by this call or an earlier one with this key
    failed,         ///< the handler threw; `code` and `body` are its own. A retry gets the same
    abandoned,      ///< abandon() came first; the call never runs
    refused,        ///< not done: the call is not valid or not permitted; `body` says why
    busy,           ///< not done: workers and queue are full; try again after `retry_after`
    expired,        ///< not done: the deadline passed before COMMIT
    unavailable,    ///< not done: the leader cannot be written to, or NATS cannot be reached
    no_responders,  ///< not done: no server in the primary region serves this operation
    not_found,      ///< outcome(): no call with this key has ended yet
    in_doubt,       ///< not known at the deadline; query it with outcome() or abandon()
};
/// The number of outcomes.
inline constexpr std::size_t kOutcomes = static_cast<std::size_t>(Outcome::in_doubt) + 1;

/// The name for logs and metric labels, "ok". Any thread.
/// @param outcome any
/// @return a literal
std::string_view name_of(Outcome outcome);

/// Whether a name is valid for an operation: words of a-z 0-9 _ - separated by dots, at most
/// kOperationBytesMax bytes. The first word must not begin with _ or -. Any thread.
/// @param operation "order.place"
/// @return true if it is valid
bool is_valid_operation(std::string_view operation);
/// Whether a key is printable ASCII without spaces, of 1 to kKeyBytesMax bytes. Any thread.
/// @param key any
/// @return true if it is
bool is_valid_key(std::string_view key);
/// Makes a random key of 128 bits. Any thread.
/// @return 32 hexadecimal digits
/// @throws SetupError if the kernel gives no random bytes
std::string random_key();

/// Whether the local replica has replayed the call's commit.
enum class ReplicaState : std::uint8_t {
    not_asked,  ///< there was no commit to wait for, or no ReplicaWait
    covered,    ///< reads on the replica see the write
    behind,     ///< not replayed within ClientOptions::replica_wait_max
    away,       ///< the replica does not answer, is on a different timeline, or cannot be compared
};

/// The result of a call. Only `outcome` says whether it took effect; `replica` does not change
/// that.
struct [[nodiscard]] Reply {
    Outcome outcome = Outcome::in_doubt;  ///< how the call ended
    std::string key{};                    ///< of the call, to ask for its outcome later
    std::string body{};                   ///< ok: the handler's reply; else an error text
    /// failed: the handler's code, or an SQLSTATE. ok: empty, or `reply_too_large`: the stored
    /// reply does not fit into a message any more, and `body` says so.
    std::string code{};
    /// busy: when to try again.
    std::chrono::milliseconds retry_after{0};
    bool was_stored = false;  ///< the stored result of an earlier call with this key
    /// The session token of the commit, for SessionConsistency::cookie_of(); empty if the
    /// server has no token keys.
    std::string session_token{};
    ReplicaState replica = ReplicaState::not_asked;  ///< whether the local replica has the commit
    unsigned attempts = 0;                           ///< how often the call was sent

    /// Whether the call has committed.
    explicit operator bool() const { return outcome == Outcome::ok; }
};

/// A call, as its handler receives it. Borrowed for the call.
struct Call {
    std::string_view region;     ///< of the caller; its NATS login permits no other
    std::string_view app;        ///< of caller and server
    std::string_view operation;  ///< "order.place"
    std::string_view key;        ///< the idempotency key
    std::string_view body;       ///< any bytes
    /// When the caller stops waiting; no COMMIT is sent after it.
    std::chrono::steady_clock::time_point deadline;
};

/// Thrown by a handler to refuse a call: its transaction is rolled back, and the failure is stored
/// as the answer to this key.
class CallFailed : public std::runtime_error {
  public:
    /// @param code for programs, "out_of_stock"; 1 to 64 of A-Z a-z 0-9 _ . -
    /// @param text for people; it becomes Reply::body
    CallFailed(std::string code, const std::string& text)
        : std::runtime_error(text), code_(std::move(code)) {}
    /// The code.
    /// @return as it was given
    const std::string& code() const { return code_; }

  private:
    std::string code_;
};

}  // namespace homeward::forward
