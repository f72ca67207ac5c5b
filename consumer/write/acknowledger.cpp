#include "consumer/write/acknowledger.hpp"

#include <string>
#include <utility>

namespace homeward::consumer {

Acknowledger::Acknowledger(NatsConnection& nats, AckDeadlineExtender& deadlines,
                           const Config::Postgres& config, Metrics& metrics, bool waits_for_standby)
    : nats_(nats), deadlines_(deadlines), metrics_(metrics), returns_(nats) {
    if (waits_for_standby) replication_barrier_.emplace(nats, deadlines, config, metrics);
}

AckDeadlineExtender::Ticket Acknowledger::hold(const Batch& batch,
                                               std::chrono::steady_clock::time_point delivered) {
    AckDeadlineExtender::Replies replies;
    replies.reserve(batch.size());
    for (const MessageWork& work : batch) replies.emplace_back(work.pulled.message.reply);
    return deadlines_.hold(std::move(replies), delivered);
}

void Acknowledger::answer(const Batch& batch, const CommitPoint& committed) {
    AckDeadlineExtender::Replies replies;
    replies.reserve(batch.size());
    for (const MessageWork& work : batch) {
        std::string reply(work.pulled.message.reply);
        if (work.is_returned()) {
            ++metrics_.delayed_naks;
            returns_.push(std::move(reply), work.pulled.message.delivery.deliveries);
        } else {
            replies.push_back(std::move(reply));
        }
    }
    if (replies.empty()) return;
    if (!replication_barrier_) return nats_.publish_all(replies, "+ACK");
    // Extended at the next look, whenever it was last.
    replication_barrier_->hold(committed, deadlines_.hold(std::move(replies), {}));
}

void Acknowledger::give_up(const Batch& batch) {
    for (const MessageWork& work : batch) {
        if (work.is_returned()) ++metrics_.delayed_naks;
        nats_.publish(std::string(work.pulled.message.reply), "-NAK");
    }
}

}  // namespace homeward::consumer
