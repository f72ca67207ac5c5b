#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/write/row_copier.hpp"

namespace homeward::consumer {

/// How many new partitions late events may ask for: each costs the leader some 10 ms and a table
/// for as long as it is kept. At most 32 in a batch, and 32 a minute of one source, a region's app.
/// One thread.
class DayBudget {
  public:
    DayBudget(const Catalog& catalog, const Partitions& partitions)
        : catalog_(catalog), partitions_(partitions) {}

    /// The events whose days are beyond the budget, with the reason. Today, yesterday and what is
    /// to come cost nothing.
    std::vector<Refusal> refuse_beyond(Batch& batch, std::int64_t now_us);

    static constexpr std::size_t kNewDaysMax = 32;

  private:
    struct Spent {
        std::int64_t minute = 0;
        std::size_t days = 0;
    };
    bool may_make(const std::string& source, std::size_t made, std::int64_t minute);

    const Catalog& catalog_;
    const Partitions& partitions_;
    std::map<std::string, Spent> spent_;
};

}  // namespace homeward::consumer
