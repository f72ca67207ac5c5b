#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "consumer/config.hpp"
#include "consumer/leader.hpp"
#include "consumer/metrics.hpp"

namespace homeward::consumer {

/// The page itself: HTML, style and script in one, without any address but its own host's.
std::string_view status_html();

/// How the writers spent a stretch of time.
struct WriterTimes {
    double elapsed_s = 0;  ///< of the clock, times the number of writers
    double decode_s = 0;
    double copy_s = 0;
    double commit_s = 0;        ///< with the ledger
    std::uint64_t waiting = 0;  ///< messages that the streams have not delivered yet
};
/// In one sentence, what keeps more from being written per second.
std::string limiting_factor(const WriterTimes& times);

/// What the page shows besides /metrics: origins and dead letters from the leader, and what limits
/// the system now. Any thread; keeps a connection to the leader of its own, and asks it at most
/// every few seconds, however many look. `config` and `metrics` must outlive it.
class StatusPage {
  public:
    StatusPage(const Config& config, const Metrics& metrics);

    /// `{"limit":…,"origins":[…],"dead_letters":[…],"leader_error":…}`; never throws.
    std::string json();

  private:
    void look(std::chrono::steady_clock::time_point now);
    WriterTimes totals(std::chrono::steady_clock::time_point now) const;

    const Config& config_;
    const Metrics& metrics_;
    std::mutex mutex_;  // guards what follows
    std::optional<Leader> leader_;
    std::chrono::steady_clock::time_point looked_{};
    WriterTimes before_;
    std::uint64_t messages_before_ = 0;
    std::string json_;
};

}  // namespace homeward::consumer
