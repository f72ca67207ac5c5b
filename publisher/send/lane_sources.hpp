#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <homeward/publisher.hpp>

#include "publisher/buffer/lane.hpp"

namespace homeward {

/// The lanes of one origin, and how far each has been read and logged. Any thread may add a lane
/// and read counts; the rest is for the drainer's thread.
class LaneSources {
  public:
    struct Source {
        std::uint64_t number;
        LaneReader reader;
        std::uint64_t drops_taken = reader.drops_reported();
        std::uint64_t logged_position = reader.position();
        std::uint64_t logged_drops = drops_taken;

        /// Whether something was read that no logged tail covers.
        bool has_moved() const {
            return reader.position() != logged_position || drops_taken != logged_drops;
        }
    };

    /// Any thread: the lane is drained from the next adopt_added() on. Borrows it.
    void add(std::uint64_t number, LaneMapping* lane);
    /// Any thread: events that the added lanes have accepted, dropped ones included.
    std::uint64_t accepted() const;
    /// Any thread: adds what the added lanes have refused and dropped.
    void add_stats(ClassStats& stats) const;

    void adopt_added();
    /// Takes over a lane of an orphaned run. `reader`: of that lane.
    void adopt_recovered(std::uint64_t number, const LaneReader& reader,
                         std::unique_ptr<LaneMapping> lane);

    std::size_t size() const { return sources_.size(); }
    /// The lane whose turn is `index`-th in this pass, from 0.
    Source& in_turn(std::size_t index) { return sources_[(first_ + index) % sources_.size()]; }
    /// The next pass begins one lane further.
    void end_pass() {
        if (!sources_.empty()) first_ = (first_ + 1) % sources_.size();
    }
    const std::vector<Source>& all() const { return sources_; }

    /// The tails of lanes that have moved, for the log. Valid until the next call.
    const std::vector<LaneTail>& moved_tails();
    /// moved_tails() are logged: gives the lanes' room back. `seq_next`: of the origin.
    void release_moved(std::uint64_t seq_next);
    /// Frees the rings of recovered lanes, if nothing in any lane waits for the log.
    void free_rings() const noexcept;

  private:
    std::vector<Source> sources_;
    std::size_t first_ = 0;  // in sources_: whose turn is first
    std::vector<LaneTail> tails_;
    std::vector<std::unique_ptr<LaneMapping>> recovered_;

    mutable std::mutex mutex_;  // guards what follows
    std::vector<std::pair<std::uint64_t, LaneMapping*>> added_;
    std::vector<LaneMapping*> lanes_;
};

}  // namespace homeward
