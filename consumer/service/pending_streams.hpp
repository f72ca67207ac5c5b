#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "consumer/nats/nats_connection.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/service/pipeline.hpp"

namespace homeward::consumer {

/// Streams that did not answer at the start, so that one region which is away holds up no other:
/// each is consumed from when it is first seen, unless by then two domains have a stream of one
/// name. Borrows all it is given. Any thread; seen() by one.
class PendingStreams {
  public:
    PendingStreams(NatsConnection& nats, const std::vector<Stream>& streams,
                   const StreamStates& states, Pipeline& pipeline);

    /// A stream has answered.
    void seen(const Stream& stream, const StreamState& state);
    /// The names of those that are not consumed from yet.
    std::set<std::string> waiting() const;

  private:
    bool is_waiting(const std::string& name) const;

    NatsConnection& nats_;
    const std::vector<Stream>& streams_;
    Pipeline& pipeline_;
    std::set<std::string> refused_;  // of the thread that calls seen()

    mutable std::mutex mutex_;  // guards what follows
    std::set<std::string> waiting_;
};

}  // namespace homeward::consumer
