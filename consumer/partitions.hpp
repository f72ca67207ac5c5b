#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "consumer/leader.hpp"
#include "schemas/event_type.hpp"

namespace homeward::consumer {

/// Sees to it that the day of an event has a partition. Remembers which days have one. One thread.
class Partitions {
  public:
    explicit Partitions(const Config::Postgres& config) : config_(config) {}
    /// Over a connection of its own, so that no lock is kept until a batch commits. Blocks no
    /// writer, and waits for none.
    void ensure(const EventType& type, std::int64_t time_us);
    /// After the leader said that something is missing: look again.
    void forget();

  private:
    const Config::Postgres& config_;
    std::optional<Leader> leader_;
    const EventType* last_type_ = nullptr;
    std::int64_t last_day_ = 0;
    std::set<std::pair<std::string, std::int64_t>> known_;  // table, day since 1970
};

}  // namespace homeward::consumer
