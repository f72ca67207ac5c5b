#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <homeward/replay/position_source.hpp>
#include <homeward/replay/token.hpp>

namespace homeward::replay {

struct PollOptions {
    /// While somebody waits, the pause between two questions: doubles from min to max while the
    /// replica stands still, and begins anew when it moves.
    std::uint32_t pause_min_ms = 2;
    std::uint32_t pause_max_ms = 25;
    /// After a question without an answer nobody waits and none is asked for this long.
    std::uint32_t retry_ms = 500;
    /// When a replica has not reached for this long what somebody gave up waiting for, nobody waits
    /// until it has: a threadful of requests that all wait in vain would be the greater harm.
    std::uint32_t futile_ms = 1000;
    /// How long a position counts whose source has no socket to watch.
    std::uint32_t age_max_ms = 1000;
};

/// Asks one replica where it is, for any number of waiters, from a thread of its own. It asks only
/// while somebody waits: a token that is before the last known position costs no question, and an
/// idle poller none at all. Any thread may call it; it must outlive its callers.
class ReplicaPoller {
  public:
    explicit ReplicaPoller(std::unique_ptr<PositionSource> source, const PollOptions& options = {});
    ~ReplicaPoller();
    ReplicaPoller(const ReplicaPoller&) = delete;
    ReplicaPoller& operator=(const ReplicaPoller&) = delete;

    struct Outcome {
        Coverage coverage = Coverage::position_unknown;
        bool has_waited = false;
    };
    /// Waits until the replica covers the token, but no longer than `wait_max`. Not at all for
    /// what is covered already, nor while the replica is known not to answer or to be far behind.
    /// Another history is told after one fresh question: the replica may have moved since. With a
    /// `wait_max` of 0 the question is asked all the same, for those who come next.
    Outcome wait_for(const Token& token, std::chrono::milliseconds wait_max);

    /// As far as it is known now, without a question and without waiting.
    Coverage coverage_now(const Token& token) const;
    /// Of the server, as far as it is known now: a promotion turns a standby into a primary.
    ServerRole role_now() const;

    struct Stats {
        std::uint64_t asked = 0;       ///< questions to the replica
        std::uint64_t unanswered = 0;  ///< of these
        std::uint64_t waited = 0;      ///< calls of wait_for() that had to wait
    };
    Stats stats() const;

  private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace homeward::replay
