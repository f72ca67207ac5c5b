#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "consumer/base/config.hpp"
#include "consumer/ledger/consumer_registry.hpp"
#include "consumer/ledger/plain_acks.hpp"
#include "consumer/ledger/recent_commits.hpp"
#include "consumer/metrics/metrics.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/repair/redriver.hpp"
#include "consumer/service/day_packer.hpp"
#include "consumer/write/dead_letter_quota.hpp"

namespace homeward::consumer {

/// What has to be done now and then, off the batches' path: compacting the ledger, making the next
/// days' partitions and dropping expired ones, counting days that are over, redriving what was
/// parked, looking how many dead letters there are, telling the leader how far streams are
/// acknowledged. Has a thread and a connection of its own; an error is logged and tried again,
/// since nothing waits for it.
class Housekeeper {
  public:
    /// Borrowed, but for the catalog.
    struct Parts {
        const Config& config;
        std::shared_ptr<const Catalog> catalog;
        Metrics& metrics;
        DeadLetterQuota& dead_letter_quota;
        RecentCommits& memory;
        PlainAcks& plain_acks;
    };

    explicit Housekeeper(const Parts& parts);
    ~Housekeeper();

  private:
    void run();
    bool step(const std::string& what, const std::function<void()>& work);
    void compact(PgConnection& leader);
    void find_commits_lost_in_failover(PgConnection& leader);
    void end_stalled(PgConnection& leader);
    void maintain_partitions(PgConnection& leader);
    bool drop_expired(PgConnection& leader, const EventType& type);
    void forget(PgConnection& leader);
    void measure_dead_letters(PgConnection& leader);
    void redrive_parked(PgConnection& leader);
    void count_holes(PgConnection& leader);
    void pack_days(PgConnection& leader);
    void count_days(PgConnection& leader);

    const Config& config_;
    std::shared_ptr<const Catalog> catalog_;
    Metrics& metrics_;
    DeadLetterQuota& dead_letter_quota_;
    RecentCommits& memory_;
    PlainAcks& plain_acks_;
    DayPacker packer_;
    Redriver redriver_;
    ConsumerRegistration registration_;
    std::optional<PgConnection> leader_;
    std::chrono::steady_clock::time_point partitions_due_{};
    std::chrono::steady_clock::time_point forget_due_{};
    std::chrono::steady_clock::time_point holes_due_{};
    std::chrono::steady_clock::time_point packs_due_{};
    std::chrono::steady_clock::time_point days_due_{};
    /// Steps that fail, and when that was last said.
    std::map<std::string, std::chrono::steady_clock::time_point> complained_;

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
