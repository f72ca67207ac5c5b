#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "consumer/nats/stream.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// How far the streams of plain messages are acknowledged. The leader is told, and compares it with
/// what was written of them: homeward.plain_gap names what left a stream without. Any thread.
class PlainAcks {
  public:
    /// What a look at the stream has found; of other kinds, frames say what their origin accepted.
    void seen(const Stream& stream, const StreamState& state);
    /// Tells the leader what has changed since. Throws LeaderError; then all is told the next time.
    void note(PgConnection& leader);

  private:
    struct Acked {
        std::uint64_t stream_first;  ///< the oldest message that the stream then held
        std::uint64_t floor;
    };
    using Key = std::pair<std::string, std::int64_t>;  ///< a stream, and when it was made

    std::mutex mutex_;  // guards what follows
    std::map<Key, Acked> seen_;
};

}  // namespace homeward::consumer
