#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/write/row_copier.hpp"

namespace homeward::consumer {

/// How many new partitions late events may ask for: each costs the leader some 10 ms and a table
/// for as long as it is kept. At most 32 in a batch, and 32 a minute of one source, a region's app;
/// it may ask again for those that it was granted, as its batch may be written anew. One thread.
class DayBudget {
  public:
    DayBudget(const Catalog& catalog, const Partitions& partitions)
        : catalog_(catalog), partitions_(partitions) {}

    struct Answer {
        std::vector<Refusal> refused;  ///< beyond their source's budget, with the reason
        /// Messages are marked `returned`: other sources have spent the batch's budget.
        bool is_any_returned = false;
    };
    /// Today, yesterday and what is to come cost nothing.
    Answer limit(Batch& batch, std::int64_t now_us);

    static constexpr std::size_t kNewDaysMax = Partitions::kDaysMax;

  private:
    using Day = std::pair<int, std::int64_t>;  // of a type
    struct Spent {
        std::int64_t minute = 0;
        std::vector<Day> days;
    };
    enum class Verdict : unsigned char { granted, refused, returned };
    bool is_new(const EventRow& event, std::int64_t day) const;
    Verdict judge(const std::string& source, Day day, std::int64_t minute);
    void limit(MessageWork& work, std::int64_t now_us, Answer& answer);

    const Catalog& catalog_;
    const Partitions& partitions_;
    std::map<std::string, Spent> spent_;
    std::set<Day> of_batch_;  ///< granted in the batch at hand
};

}  // namespace homeward::consumer
