#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "consumer/commit_memory.hpp"
#include "consumer/config.hpp"
#include "consumer/consumer_registry.hpp"
#include "consumer/leader.hpp"
#include "consumer/letter_room.hpp"
#include "consumer/metrics.hpp"
#include "consumer/redriver.hpp"

namespace homeward::consumer {

/// What has to be done now and then, off the batches' path: folding the ledger, making the next
/// days' partitions and dropping expired ones, counting days that are over, redriving what was
/// parked, looking how many dead letters there are. Has a thread and a connection of its own; an
/// error is logged and tried again, since nothing waits for it.
class Housekeeper {
  public:
    Housekeeper(const Config& config, std::shared_ptr<const Catalog> catalog, Metrics& metrics,
                LetterRoom& letter_room, CommitMemory& memory);
    ~Housekeeper();

  private:
    void run();
    bool step(const std::string& what, const std::function<void()>& work);
    void fold(Leader& leader);
    void look_back(Leader& leader);
    void end_stalled(Leader& leader);
    void tend_partitions(Leader& leader);
    bool drop_expired(Leader& leader, const EventType& type);
    void forget(Leader& leader);
    void tend_dead_letters(Leader& leader);
    void count_holes(Leader& leader);
    void count_days(Leader& leader);

    const Config& config_;
    std::shared_ptr<const Catalog> catalog_;
    Metrics& metrics_;
    LetterRoom& letter_room_;
    CommitMemory& memory_;
    Redriver redriver_;
    ConsumerRegistration registration_;
    std::optional<Leader> leader_;
    std::chrono::steady_clock::time_point partitions_due_{};
    std::chrono::steady_clock::time_point forget_due_{};
    std::chrono::steady_clock::time_point holes_due_{};
    std::chrono::steady_clock::time_point days_due_{};
    /// Steps that fail, and when that was last said.
    std::map<std::string, std::chrono::steady_clock::time_point> complained_;

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace homeward::consumer
