#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// Counts the rows of one day that is over, for the proof; see homeward.begin_day_count(). False:
/// there is none to be counted, or somebody who writes to it is in the way.
bool count_closed_day(PgConnection& leader);

/// How much of the proof rests on counts.
struct CountSummary {
    std::int64_t days_counted = 0;
    std::int64_t rows_counted = 0;
    std::int64_t days_read = 0;  ///< days that are read each time, and tables without days
    std::string oldest_at;       ///< as PostgreSQL prints it; empty: nothing was counted
    std::string oldest_age;
};
CountSummary read_count_summary(PgConnection& leader);

/// Reads every day whose count is valid. Returns a line for each whose rows are others than those
/// counted; its count is not believed from then on. `on_progress` hears how many days were read.
std::vector<std::string> recount_days(
    PgConnection& leader,
    const std::function<void(std::size_t done, std::size_t all)>& on_progress);

}  // namespace homeward::consumer
