#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "consumer/postgres/packed_table.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// Moves the events of a packed type between its two tables, a part of a day in each transaction.
/// Readers of the view see each event once at any time; the consumer goes on writing. Wants the
/// owner's role. Borrows all it is given.
class Repack {
  public:
    enum class Target : std::uint8_t { packs, rows };

    /// Throws UsageError when the type has no packs.
    Repack(PgConnection& leader, const std::string& event_schema, const EventType& type,
           Target target);

    /// `on_progress` hears how many of how many days are done.
    using Progress = std::function<void(std::size_t done, std::size_t all)>;
    struct Result {
        std::int64_t moved = 0;
        std::vector<std::string> failures;  ///< days that the leader refuses to move, and why
    };
    /// Moves the events of days that are over, or of one day, "2026-11-30". Those that cannot be in
    /// a pack stay rows. A day that fails keeps no other from being moved. May be repeated after a
    /// break. Throws LeaderError when the connection is lost.
    Result run(const std::optional<std::string>& day, const Progress& on_progress);

  private:
    struct Part {
        std::string day;
        std::string name;  ///< of the partition, quoted
    };
    std::vector<Part> parts(const std::optional<std::string>& day);
    void move_day(const Part& part, std::int64_t& moved);
    std::int64_t pack_blocks(const Part& part, std::int64_t first, std::int64_t blocks);
    std::int64_t unpack_blocks(const Part& part, std::int64_t first, std::int64_t end);
    std::string unpacking(const Part& part, const std::string& blocks) const;
    std::int64_t blocks_of(const Part& part);

    PgConnection& leader_;
    const std::string& event_schema_;
    const EventType type_;  ///< with_former_fields()
    Target target_;
    PackedTable packed_;
};

}  // namespace homeward::consumer
