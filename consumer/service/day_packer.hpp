#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "consumer/base/config.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Moves rows of packed types into packs once their day is over: what came in batches with too few
/// events of an origin. Some MB in each transaction. One thread.
class DayPacker {
  public:
    /// Borrows `config`.
    explicit DayPacker(const Config::Postgres& config) : config_(config) {}

    /// Looks for such a day, and does a part of it. True: there may be more at once. A day that
    /// cannot be packed is tried after the others; when nothing else is left, its LeaderError is
    /// thrown.
    bool work(PgConnection& leader, const EventType& type);

  private:
    static constexpr std::int64_t kBlocksMax = 4'096;  // 32 MiB of rows

    /// Of a day's partition. When rows have come to it, one of these has changed or will: a day is
    /// counted anew after late rows.
    struct State {
        std::int64_t blocks = 0;
        std::string counted_at;
        bool operator==(const State&) const = default;
    };
    struct Progress {
        std::int64_t next = 0;   ///< block
        std::string counted_at;  ///< when this pass began
        State done;              ///< of the last pass
        bool has_failed = false;
    };

    void work_on(PgConnection& leader, const EventType& type, const std::string& day,
                 const State& state, Progress& progress);
    std::int64_t move(PgConnection& leader, const std::string& type, const std::string& day,
                      std::int64_t first);

    const Config::Postgres& config_;
    std::int64_t blocks_max_ = kBlocksMax;  ///< of one transaction; fewer when that was too much
    std::map<std::pair<std::string, std::string>, Progress> progress_;  // by type and day
};

}  // namespace homeward::consumer
