#include "consumer/write/replication_barrier.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/thread_body.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// How often the leader is asked while acks wait; what an ack is later than need be.
constexpr auto kAskInterval = 10ms;
/// When it could not say, or had nothing new.
constexpr auto kAskIntervalMax = 1s;
/// At a stop, for the standby; less than a service manager's patience.
constexpr auto kStopPatience = 1500ms;
/// How often it is said that acks wait for a standby.
constexpr auto kComplaintInterval = 30s;

}  // namespace

ReplicationBarrier::ReplicationBarrier(NatsConnection& nats, AckDeadlineExtender& ack_deadlines,
                                       const Config::Postgres& config, Metrics& metrics)
    : nats_(nats),
      ack_deadlines_(ack_deadlines),
      config_(config),
      metrics_(metrics),
      thread_(start_thread("ack gate", [this] { run(); })) {}

ReplicationBarrier::~ReplicationBarrier() {
    {
        const std::lock_guard lock(mutex_);
        end_ = SteadyClock::now() + kStopPatience;
    }
    changed_.notify_all();
    thread_.join();
    for (const Waiting& one : waiting_) answer(one.ticket, "-NAK");
}

void ReplicationBarrier::hold(const CommitPoint& point, AckDeadlineExtender::Ticket ticket) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({point, ticket});
        metrics_.acks_waiting = waiting_.size();
    }
    changed_.notify_all();
}

/// False when there is nothing left to do, ever.
bool ReplicationBarrier::wait_for_work(std::chrono::milliseconds interval) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return end_ || !waiting_.empty(); });
    const auto is_over = [this] {
        return end_ && (waiting_.empty() || SteadyClock::now() >= *end_);
    };
    if (is_over()) return false;
    changed_.wait_for(lock, interval, [this] { return end_.has_value(); });
    if (end_) changed_.wait_for(lock, kAskInterval, is_over);
    return !is_over();
}

void ReplicationBarrier::run() {
    std::chrono::milliseconds interval = kAskInterval;
    auto complained = SteadyClock::now() - kComplaintInterval + 5s;
    while (wait_for_work(interval)) {
        std::string complaint;
        try {
            if (!leader_ || leader_->is_broken()) {
                leader_.reset();
                leader_.emplace(config_.url, config_);
            }
            const auto flushed = flushed_lsn();
            if (!flushed) complaint = "the leader has no standby just now";
            settle(leader_->identity(), flushed.value_or(-1));
            interval = flushed ? kAskInterval : std::chrono::milliseconds(kAskIntervalMax);
        } catch (const LeaderError& error) {
            leader_.reset();
            complaint = std::string(error.what()) + " [" + error.sqlstate() + "]";
            interval = kAskIntervalMax;
        }
        if (complaint.empty() || SteadyClock::now() - complained < kComplaintInterval) continue;
        complained = SteadyClock::now();
        spdlog::warn("acks wait for a standby (postgres.ack_after = \"replicated\"): {}",
                     complaint);
    }
}

/// nullopt: there is no standby.
std::optional<std::int64_t> ReplicationBarrier::flushed_lsn() {
    const QueryResult row = leader_->query("SELECT homeward.replicated_lsn() - '0/0'");
    if (row.is_null(0, 0)) return std::nullopt;
    return row.number(0, 0);
}

void ReplicationBarrier::settle(const LeaderIdentity& leader, std::int64_t flushed) {
    std::list<Waiting> acknowledged;
    std::list<Waiting> returned;
    {
        const std::lock_guard lock(mutex_);
        for (auto one = waiting_.begin(); one != waiting_.end();) {
            const auto next = std::next(one);
            if (one->point.leader != leader) {
                returned.splice(returned.end(), waiting_, one);
            } else if (one->point.lsn <= flushed) {
                acknowledged.splice(acknowledged.end(), waiting_, one);
            }
            one = next;
        }
        metrics_.acks_waiting = waiting_.size();
    }
    for (const Waiting& one : acknowledged) answer(one.ticket, "+ACK");
    for (const Waiting& one : returned) answer(one.ticket, "-NAK");
    if (!returned.empty()) {
        spdlog::warn(
            "{} batches were committed on a leader that is gone; their messages go back "
            "to their streams, and the ledger says what of them is there",
            returned.size());
    }
}

void ReplicationBarrier::answer(AckDeadlineExtender::Ticket ticket, std::string_view word) {
    for (const std::string& reply : ack_deadlines_.release(ticket)) nats_.publish(reply, word);
}

}  // namespace homeward::consumer
