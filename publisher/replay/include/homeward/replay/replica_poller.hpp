#pragma once

/// @file
/// Queries a replica's position for any number of waiting requests.

#include <chrono>
#include <cstdint>
#include <memory>

#include <homeward/replay/position_source.hpp>
#include <homeward/replay/token.hpp>

namespace homeward::replay {

/// When a replica is queried, and when nobody waits for it. All in milliseconds.
struct PollOptions {
    /// While somebody waits, the pause between two questions: doubles from min to max while the
    /// replica stands still, and begins anew when it moves.
    std::uint32_t pause_min_ms = 2;
    /// Upper bound of the pause. A server that can wait itself (PositionSource::wait_for()) does so
    /// for as long, for whoever came first.
    std::uint32_t pause_max_ms = 25;
    /// After a question without an answer nobody waits and none is asked for this long.
    std::uint32_t retry_ms = 500;
    /// When a replica has not reached for this long what somebody gave up waiting for, nobody waits
    /// until it has: a threadful of requests that all wait in vain would be the greater harm.
    std::uint32_t futile_ms = 1000;
    /// How long a position counts whose source has no socket to watch.
    std::uint32_t age_max_ms = 1000;
};

/// Queries the position of one replica for any number of waiters, from a thread of its own. It
/// queries only while somebody waits: a token before the last known position costs no query, and an
/// idle poller makes none. Any thread may call it; it must outlive its callers.
///
/// A forked child has no poller thread: there every position is unknown, without a wait.
class ReplicaPoller {
  public:
    /// Starts the thread.
    /// @param source used by that thread alone
    /// @param options pauses
    explicit ReplicaPoller(std::unique_ptr<PositionSource> source, const PollOptions& options = {});
    /// Stops the thread; it may wait for a query that has begun. In a forked child it does nothing:
    /// thread and connection are the parent's.
    ~ReplicaPoller();
    ReplicaPoller(const ReplicaPoller&) = delete;
    ReplicaPoller& operator=(const ReplicaPoller&) = delete;

    /// The result of wait_for().
    struct Outcome {
        Coverage coverage = Coverage::position_unknown;  ///< token against replica
        bool has_waited = false;                         ///< before it was covered
    };
    /// Waits until the replica covers the token. It returns at once if the token is covered, or
    /// while the replica is known not to answer or to be far behind. Another history is reported
    /// after one fresh query, as the replica may have moved since.
    /// @param token genuine
    /// @param wait_max upper bound in milliseconds; with 0 the query is still made, for later
    /// callers
    /// @return whether the replica covers the token
    Outcome wait_for(const Token& token, std::chrono::milliseconds wait_max);

    /// Compares with the last known position, without a query and without waiting.
    /// @param token genuine
    /// @return position_unknown if nothing is known
    Coverage coverage_now(const Token& token) const;
    /// The server's last known role, without a query: a promotion turns a standby into a primary.
    /// @return unknown if nothing is known
    ServerRole role_now() const;

    /// The engine of the replica; tokens of another count for nothing.
    /// @return it never changes
    Engine engine() const;

    /// Counts since the poller was made.
    struct Stats {
        std::uint64_t asked = 0;       ///< questions to the replica
        std::uint64_t unanswered = 0;  ///< of these
        std::uint64_t waited = 0;      ///< calls of wait_for() that had to wait
    };
    /// What the poller has done.
    /// @return counts since it was made
    Stats stats() const;

  private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace homeward::replay
