#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "consumer/nats/stream.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// Keeps us from a leader that lacks what was acknowledged: another cluster, or a timeline below
/// the one that messages were acknowledged for, such as an old leader that came back.
///
/// What was acknowledged for whom is written into the description of each durable: beside the acks
/// that rest on it, seen by every consumer whatever machine it runs on, and in need of no disk of
/// ours. It is written before the first ack for a new leader is given. Any thread.
class LeaderFence {
  public:
    LeaderFence(NatsConnection& nats, std::vector<Stream> streams)
        : nats_(nats), streams_(std::move(streams)) {}

    enum class Verdict : std::uint8_t {
        admitted,
        refused,  ///< must not be written to
        unknown,  ///< no stream can be asked or told just now
    };
    struct Answer {
        Verdict verdict = Verdict::admitted;
        std::string reason{};  ///< unless it is admitted
    };
    /// Whether this leader may be written to; if so, all streams are told.
    Answer ask(const LeaderIdentity& leader);
    /// Tells all streams again which leader was admitted last, as one was made anew. Throws
    /// NatsError if none can be told.
    void renew();
    /// From now on this one and what comes after it, whatever was acknowledged before. Throws
    /// NatsError unless all streams were told.
    void accept(const LeaderIdentity& leader);

  private:
    void for_each_stream(const std::function<void(std::size_t)>& action) const;
    std::optional<LeaderIdentity> read() const;
    void write(const LeaderIdentity& leader) const;

    NatsConnection& nats_;
    const std::vector<Stream> streams_;
    std::mutex mutex_;  // one at a time
    std::optional<LeaderIdentity> admitted_;
};

}  // namespace homeward::consumer
