#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Moves rows of packed types into packs once their day is over: what came in batches with too few
/// events of an origin. Some MB in each transaction. One thread.
class DayPacker {
  public:
    /// Looks for such a day, and does a part of it. True: there may be more at once.
    bool work(PgConnection& leader, const EventType& type);

  private:
    static constexpr std::int64_t kBlocksMax = 4'096;  // 32 MiB of rows

    /// Of a day's partition.
    struct Progress {
        std::int64_t next = 0;    ///< block
        std::int64_t blocks = 0;  ///< when all of it was done: later rows make it larger
    };

    std::int64_t move(PgConnection& leader, const std::string& type, const std::string& day,
                      std::int64_t first);

    std::int64_t blocks_max_ = kBlocksMax;  ///< of one transaction; fewer after a timeout
    std::map<std::pair<std::string, std::string>, Progress> progress_;  // by type and day
};

}  // namespace homeward::consumer
