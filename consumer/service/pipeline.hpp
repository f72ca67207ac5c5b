#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "consumer/write/writer.hpp"

namespace homeward::consumer {

/// What streams and their durables are like at the start, by stream name; those that are away then
/// are not in it.
using StreamStates = std::map<std::string, StreamState>;

/// From the streams to the leader: pulls, writes and acknowledges, from its construction until
/// stop(). Borrows all it is given.
class Pipeline {
  public:
    struct Parts {
        const Config& config;
        NatsConnection& nats;
        const StreamStates& states;
        std::shared_ptr<const Catalog> catalog;
        Metrics& metrics;
        DeadLetterQuota& dead_letter_quota;
        RecentCommits& memory;
        BatchLimits& limits;
    };
    /// `is_replay`: of history. Every batch asks the ledger before it writes, as most of it will be
    /// there; what is acknowledged is not gone, so any leader is right, and acks wait for nothing.
    Pipeline(const Parts& parts, std::vector<Stream> streams, bool is_replay);
    ~Pipeline() { stop(); }

    /// A stream that was away at the start is there: it is consumed from now on. Any thread.
    void open(const Stream& stream, const StreamState& state);
    /// A stream was made again: the same name, perhaps other messages. Any thread. Throws what
    /// LeaderFence::renew() throws.
    void renew(const Stream& stream, const StreamState& state);
    /// What a stream is like by now: somebody may have changed its ack_wait. Any thread.
    void note_state(const Stream& stream, const StreamState& state);
    /// Pulls no more, commits what has arrived, and returns when that is done.
    void stop();
    const Puller& puller() const { return puller_; }
    WriterLog& log() { return log_; }

  private:
    std::chrono::milliseconds shortest_ack_wait() const;

    /// By stream; 0: not known yet, and not pulled from.
    std::map<std::string, std::atomic<std::int64_t>> created_us_;
    std::mutex ack_waits_mutex_;
    std::map<std::string, std::int64_t> ack_waits_ms_;  // by stream; of its durable
    AckDeadlineExtender ack_deadlines_;
    Puller puller_;
    LeaderFence leader_fence_;
    TypeHolds type_holds_;
    SourceHolds source_holds_;
    NewerFrames newer_frames_;
    Acknowledger acknowledger_;
    OriginQuota origin_quota_;
    WriterLog log_;
    WriterContext context_;
    std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace homeward::consumer
