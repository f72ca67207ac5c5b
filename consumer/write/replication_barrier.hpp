#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "consumer/base/config.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/pull/ack_deadline_extender.hpp"

namespace homeward::consumer {

/// Up to where a leader's log has to be elsewhere as well, so that a commit survives its loss.
struct CommitPoint {
    LeaderIdentity leader;
    std::int64_t lsn = 0;
};

/// For postgres.ack_after = "replicated": holds the acks of committed batches until a standby has
/// flushed their commits. Nothing but the acks waits; the keeper goes on speaking for them, and the
/// durables' max_ack_pending bounds how many there are. What was committed on a leader that is no
/// longer the leader goes back to its stream, and the ledger of the new one says whether it is
/// there. Any thread; has one and a connection of its own.
class ReplicationBarrier {
  public:
    ReplicationBarrier(NatsConnection& nats, AckDeadlineExtender& ack_deadlines,
                       const Config::Postgres& config, Metrics& metrics);
    /// Waits a little for what can still be acknowledged; returns the rest (NAK).
    ~ReplicationBarrier();

    void hold(const CommitPoint& point, AckDeadlineExtender::Ticket ticket);

  private:
    using SteadyClock = std::chrono::steady_clock;
    struct Waiting {
        CommitPoint point;
        AckDeadlineExtender::Ticket ticket;
    };

    void run();
    bool wait_for_work(std::chrono::milliseconds interval);
    void settle(const LeaderIdentity& leader, std::int64_t flushed);
    void answer(AckDeadlineExtender::Ticket ticket, std::string_view word);
    std::optional<std::int64_t> flushed_lsn();

    NatsConnection& nats_;
    AckDeadlineExtender& ack_deadlines_;
    const Config::Postgres& config_;
    Metrics& metrics_;
    std::optional<PgConnection> leader_;  // of the thread

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::list<Waiting> waiting_;
    std::optional<SteadyClock::time_point> end_;  // stopping: not beyond this
    std::thread thread_;
};

}  // namespace homeward::consumer
