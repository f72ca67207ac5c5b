#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <homeward/detail/lane_writer.hpp>

#include "publisher/cells/cell_store.hpp"
#include "publisher/cells/histogram_reader.hpp"

namespace homeward {

/// What the cells of a dead process have counted and no report has brought: as events, in new lanes
/// of its run. Whoever is killed in it leaves a state from which the next one goes on, with nothing
/// lost and nothing counted twice. One thread.
class CellRecovery {
  public:
    /// The head of a lane of the run; nullopt: it is not there.
    using FindHead = std::function<std::optional<std::uint64_t>(std::uint64_t lane)>;
    struct NewLane {
        detail::LaneWriter* writer;
        std::uint64_t number;
    };
    /// Makes a lane for metric events; throws SetupError without room.
    using MakeLane = std::function<NewLane()>;

    /// Reads the cell files in a run's lane directory, if there are any.
    CellRecovery(const std::filesystem::path& lane_directory, FindHead find_head);

    /// Throws what `make_lane` throws; what is not in a lane then is found by the next attempt.
    void recover(const MakeLane& make_lane);
    /// Events that recover() has made.
    std::size_t events() const { return events_; }
    /// What an operator should know, as what cannot be read; else "".
    const std::string& problem() const { return problem_; }

  private:
    struct Series {
        detail::SeriesRecord* record = nullptr;
        std::vector<const detail::CounterCell*> counters;
        std::vector<detail::HistogramCell*> histograms;
    };
    struct Left;  // what a series has counted
    void read(const CellSegment& segment);
    void read_entry(detail::CellKind kind, std::uint32_t number, std::byte* content,
                    std::size_t bytes);
    void settle_report(detail::SeriesRecord& record) const;
    std::optional<Left> left_of(Series& series);
    std::string event_of(detail::SeriesRecord& record, const Left& left) const;
    void append(Series& series, const Left& left, const MakeLane& make_lane);

    FindHead find_head_;
    std::vector<CellSegment> segments_;
    std::map<std::uint32_t, Series> series_;
    std::int64_t alive_us_ = 0;
    std::optional<NewLane> lane_;
    std::size_t events_ = 0;
    std::string problem_;
};

}  // namespace homeward
