#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consumer/base/time.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Days since 1970, UTC, by the table of an event type.
using TableDays = std::map<std::string, std::set<std::int64_t>>;

/// Sees to it that the days of events have partitions. Remembers which days have one. One thread.
class Partitions {
  public:
    explicit Partitions(const Config::Postgres& config) : config_(config) {}

    bool is_known(const EventType& type, std::int64_t day) const {
        return known_.count({type.table, day}) == 1;
    }
    /// At most so many are made in one transaction: others wait for its lock.
    static constexpr std::size_t kDaysMax = 32;

    /// Makes what is missing, kDaysMax in one statement of a table. Outside a transaction, so that
    /// no lock is kept until a batch commits; blocks no writer, and waits for none. What one table
    /// objects to is logged; a LeaderError is transient.
    void ensure(PgConnection& leader, const TableDays& days);
    /// After the leader said that something is missing: look again.
    void forget() { known_.clear(); }

  private:
    void ensure_some(PgConnection& leader, const std::string& table,
                     const std::vector<std::int64_t>& days);

    const Config::Postgres& config_;
    std::set<std::pair<std::string, std::int64_t>> known_;  // table, day
};

}  // namespace homeward::consumer
