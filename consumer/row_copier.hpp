#pragma once

#include <cstddef>

#include "consumer/event_decoder.hpp"
#include "consumer/frame_unit.hpp"
#include "consumer/leader.hpp"
#include "consumer/partitions.hpp"

namespace homeward::consumer {

/// The rows of units into their tables by binary COPY, inside the transaction at hand. Units with
/// `skip` are left out. One thread; borrows all it is given.
class RowCopier {
  public:
    RowCopier(const Config& config, const Catalog& catalog, Partitions& partitions)
        : config_(config), catalog_(catalog), partitions_(partitions) {}

    /// Partitions for all rows; best before the transaction begins.
    void make_room(const Units& units);
    /// All of them, or a LeaderError.
    void copy(Leader& leader, Units& units);
    /// Rows that the leader refuses become dead events, one by one: by the line that COPY names,
    /// else by halving. All others stay in the transaction. Throws when more than
    /// batch.bad_events_max are refused.
    void copy_apart(Leader& leader, Units& units, std::size_t refused_max);

  private:
    /// Where a row of the COPY at hand came from.
    struct Place {
        FrameUnit* unit;
        std::size_t event;
    };
    using Places = std::vector<Place>;
    struct Refusal {
        Place place;
        LeaderError error;
    };

    static Places places_of(Units& units, int type);
    std::vector<Refusal> sift(Leader& leader, const std::string& statement, const Places& places,
                              std::size_t refused_max);
    void make_dead(const Refusal& refusal);
    std::string statement_of(Leader& leader, const EventType& type) const;

    const Config& config_;
    const Catalog& catalog_;
    Partitions& partitions_;
};

}  // namespace homeward::consumer
