#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "consumer/base/config.hpp"
#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/nats/nats_connection.hpp"
#include "consumer/pull/ack_deadline_extender.hpp"
#include "consumer/pull/return_queue.hpp"
#include "consumer/write/replication_barrier.hpp"

namespace homeward::consumer {

/// Answers the messages of batches. What is committed is acknowledged, at once or when a standby
/// has it; what cannot be written yet returns to its stream; what a stop has left goes to another
/// consumer. Any thread.
class Acknowledger {
  public:
    /// `waits_for_standby`: postgres.ack_after = "replicated". The deadlines must outlive this.
    Acknowledger(NatsConnection& nats, AckDeadlineExtender& deadlines,
                 const Config::Postgres& config, Metrics& metrics, bool waits_for_standby);

    /// Keeps their streams from delivering them to another consumer until release(). `delivered`:
    /// when the oldest of them came.
    AckDeadlineExtender::Ticket hold(const Batch& batch,
                                     std::chrono::steady_clock::time_point delivered);
    void release(AckDeadlineExtender::Ticket ticket) { deadlines_.release(ticket); }

    /// Of a batch that is committed up to there.
    void answer(const Batch& batch, const CommitPoint& committed);
    /// Of one that a stop has left unwritten.
    void give_up(const Batch& batch);
    /// A batch is over. `has_more`: a stream of it had more messages that were not yet delivered.
    void finished(std::size_t messages, bool has_more, std::chrono::steady_clock::time_point now) {
        returns_.schedule().finished(messages, has_more, now);
    }

  private:
    NatsConnection& nats_;
    AckDeadlineExtender& deadlines_;
    Metrics& metrics_;
    ReturnQueue returns_;
    std::optional<ReplicationBarrier> replication_barrier_;
};

}  // namespace homeward::consumer
