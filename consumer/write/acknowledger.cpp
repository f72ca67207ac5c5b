#include "consumer/write/acknowledger.hpp"

#include <string>
#include <utility>

namespace homeward::consumer {

Acknowledger::Acknowledger(NatsConnection& nats, AckDeadlineExtender& deadlines,
                           const Config::Postgres& config, Metrics& metrics, bool waits_for_standby)
    : nats_(nats), deadlines_(deadlines), metrics_(metrics), returns_(nats) {
    if (waits_for_standby) replication_barrier_.emplace(nats, deadlines, config, metrics);
}

AckDeadlineExtender::Ticket Acknowledger::hold(const Units& units,
                                               std::chrono::steady_clock::time_point delivered) {
    AckDeadlineExtender::Replies replies;
    replies.reserve(units.size());
    for (const MessageWork& unit : units) replies.emplace_back(unit.pulled.message.reply);
    return deadlines_.hold(std::move(replies), delivered);
}

void Acknowledger::answer(const Units& units, const CommitPoint& committed) {
    AckDeadlineExtender::Replies replies;
    replies.reserve(units.size());
    for (const MessageWork& unit : units) {
        std::string reply(unit.pulled.message.reply);
        if (unit.is_returned()) {
            ++metrics_.delayed_naks;
            returns_.push(std::move(reply), unit.pulled.message.delivery.deliveries);
        } else {
            replies.push_back(std::move(reply));
        }
    }
    if (replies.empty()) return;
    if (!replication_barrier_) return nats_.publish_all(replies, "+ACK");
    // Extended at the next look, whenever it was last.
    replication_barrier_->hold(committed, deadlines_.hold(std::move(replies), {}));
}

void Acknowledger::give_up(const Units& units) {
    for (const MessageWork& unit : units) {
        if (unit.is_returned()) ++metrics_.delayed_naks;
        nats_.publish(std::string(unit.pulled.message.reply), "-NAK");
    }
}

}  // namespace homeward::consumer
