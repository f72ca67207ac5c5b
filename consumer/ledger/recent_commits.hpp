#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// The frames that were committed lately. After a failover to a standby that had not received
/// everything, the new leader lacks some of them, and nothing on it says so: rows, ledger and the
/// count of their origin are gone together. Asked about these it can tell, and what their
/// publishers had accepted is noted anew, so that the proof shows the hole. Bounded. Any thread.
class RecentCommits {
  public:
    void remember(const Batch& batch, const LeaderIdentity& leader);
    /// How many of the frames that were committed on earlier timelines this leader lacks; they are
    /// noted, and all of them forgotten.
    std::size_t note_lost_commits(PgConnection& leader);

  private:
    struct Frame {
        LeaderIdentity leader;
        PublisherId publisher;
        std::string event_class, region, app;
        std::int64_t seq_first, seq_last, accepted;
        std::chrono::steady_clock::time_point committed;
    };
    std::vector<Frame> before(const LeaderIdentity& leader) const;
    void forget_before(const LeaderIdentity& leader);

    mutable std::mutex mutex_;
    std::deque<Frame> frames_;
};

}  // namespace homeward::consumer
