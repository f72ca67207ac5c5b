#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "consumer/decode/message_work.hpp"
#include "consumer/metrics/metrics.hpp"

namespace homeward::consumer {

/// How much room there is for dead letters and for quarantined frames, in all and for each source
/// (a region's app): what the leader held when it was last asked, and what we have added since.
/// Other consumers' letters are seen at the next look, so all of them hold the same sources. Any
/// thread.
class DeadLetterQuota {
  public:
    struct Sum {
        std::uint64_t letters = 0;
        std::uint64_t bytes = 0;
        std::uint64_t bad = 0;  ///< of the letters: no row, now or ever; the others are parked
        void add(const Sum& more) {
            letters += more.letters;
            bytes += more.bytes;
            bad += more.bad;
        }
    };
    using Sources = std::map<std::string, Sum>;

    DeadLetterQuota(std::uint64_t letters_max, std::uint64_t bytes_max)
        : max_{letters_max, bytes_max, 0} {}

    void measured(const Sum& all, Sources sources) {
        {
            const std::lock_guard lock(mutex_);
            all_ = all;
            sources_ = std::move(sources);
            is_measured_ = true;
        }
        measured_.notify_all();
    }
    /// Until it was measured for the first time, or could not be within 2 s: a process that has
    /// just started knows of no letters.
    void await_measured() {
        std::unique_lock lock(mutex_);
        measured_.wait_for(lock, std::chrono::seconds(2), [this] { return is_measured_; });
        is_measured_ = true;
    }
    void add(const std::string& source, const Sum& sum) {
        const std::lock_guard lock(mutex_);
        all_.add(sum);
        sources_[source].add(sum);
    }
    bool fits(const Sum& sum) const {
        const std::lock_guard lock(mutex_);
        return all_.letters + sum.letters <= max_.letters && all_.bytes + sum.bytes <= max_.bytes;
    }
    /// Half of the room at most, so that no source fills it for all others.
    bool fits_share(const std::string& source, const Sum& sum) const {
        const Sum there = of(source);
        return there.letters + sum.letters <= max_.letters / 2 &&
               there.bytes + sum.bytes <= max_.bytes / 2;
    }
    Sum of(const std::string& source) const {
        const std::lock_guard lock(mutex_);
        const auto found = sources_.find(source);
        return found == sources_.end() ? Sum{} : found->second;
    }

  private:
    const Sum max_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable measured_;
    bool is_measured_ = false;
    Sum all_;
    Sources sources_;
};

/// What dead events of a unit would take.
DeadLetterQuota::Sum letters_of(const MessageWork& unit);

/// Dead events that shall be counted only.
void make_tombstones(MessageWork& unit, const std::string& reason);

/// When the dead letters are full, metric events that would become some are only counted, as
/// tombstones; frames of audit are marked to go back to their stream, which keeps them. True if any
/// is.
bool return_what_exceeds_quota(Units& units, const DeadLetterQuota& room, Metrics& metrics);

}  // namespace homeward::consumer
