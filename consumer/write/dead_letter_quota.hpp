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
        void subtract(const Sum& less) {
            letters -= less.letters;
            bytes -= less.bytes;
            bad -= less.bad;
        }
    };
    using Sources = std::map<std::string, Sum>;

    DeadLetterQuota(std::uint64_t letters_max, std::uint64_t bytes_max)
        : max_{letters_max, bytes_max, 0} {}

    /// Before the leader is asked: what is added from here on may be missing in its answer.
    void begin_measurement() {
        const std::lock_guard lock(mutex_);
        since_ = {};
        since_sources_.clear();
    }
    /// What the leader answered. What was added since begin_measurement() is added to it, even if
    /// the answer has it already: then it counts twice, until the next measurement.
    void measured(const Sum& all, Sources sources) {
        {
            const std::lock_guard lock(mutex_);
            all_ = all;
            all_.add(since_);
            sources_ = std::move(sources);
            for (const auto& [source, sum] : since_sources_) sources_[source].add(sum);
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
    /// What was committed.
    void add(const std::string& source, const Sum& sum) {
        const std::lock_guard lock(mutex_);
        all_.add(sum);
        sources_[source].add(sum);
        since_.add(sum);
        since_sources_[source].add(sum);
    }
    /// Takes room for what is about to be committed; false, and nothing taken, if there is none.
    bool take(const Sum& sum) {
        const std::lock_guard lock(mutex_);
        if (all_.letters + taken_.letters + sum.letters > max_.letters) return false;
        if (all_.bytes + taken_.bytes + sum.bytes > max_.bytes) return false;
        taken_.add(sum);
        return true;
    }
    /// Of what take() took: it was added, or comes to nothing.
    void release(const Sum& sum) {
        const std::lock_guard lock(mutex_);
        taken_.subtract(sum);
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
    Sum since_;  // added since the measurement began
    Sources since_sources_;
    Sum taken_;
};

/// The room that one batch takes from its check until add() has counted it: whoever checks in
/// between, another writer or the batch's next frame, finds it taken.
class QuotaClaim {
  public:
    explicit QuotaClaim(DeadLetterQuota& quota) : quota_(quota) {}
    ~QuotaClaim() { release(); }
    QuotaClaim(const QuotaClaim&) = delete;
    QuotaClaim& operator=(const QuotaClaim&) = delete;

    /// For one more frame in quarantine.
    bool add_frame(std::size_t bytes) {
        if (!quota_.take({1, bytes, 0})) return false;
        frames_.add({1, bytes, 0});
        return true;
    }
    /// For the dead letters of the whole batch, in the place of those claimed before.
    bool set_letters(const DeadLetterQuota::Sum& letters) {
        quota_.release(letters_);
        letters_ = {};
        if (!quota_.take(letters)) return false;
        letters_ = letters;
        return true;
    }
    void release() {
        quota_.release(frames_);
        quota_.release(letters_);
        frames_ = letters_ = {};
    }

  private:
    DeadLetterQuota& quota_;
    DeadLetterQuota::Sum frames_;
    DeadLetterQuota::Sum letters_;
};

/// What dead events of a message would take.
DeadLetterQuota::Sum letters_of(const MessageWork& work);

/// Dead events that shall be counted only.
void make_tombstones(MessageWork& work, const std::string& reason);

/// When the dead letters are full, metric events that would become some are only counted, as
/// tombstones; frames of audit are marked to go back to their stream, which keeps them. True if any
/// is.
bool return_what_exceeds_quota(Batch& batch, QuotaClaim& claim, Metrics& metrics);

}  // namespace homeward::consumer
