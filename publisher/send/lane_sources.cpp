#include "publisher/send/lane_sources.hpp"

namespace homeward {

void LaneSources::add(std::uint64_t number, LaneMapping* lane) {
    const std::lock_guard lock(mutex_);
    added_.emplace_back(number, lane);
    lanes_.push_back(lane);
}

std::uint64_t LaneSources::accepted() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t sum = 0;
    for (const LaneMapping* lane : lanes_) {
        sum += lane->header()->records.load(std::memory_order_acquire) +
               lane->header()->drops.load(std::memory_order_acquire);
    }
    return sum;
}

void LaneSources::add_stats(ClassStats& stats) const {
    const std::lock_guard lock(mutex_);
    for (const LaneMapping* lane : lanes_) {
        stats.refused += lane->header()->refusals.load(std::memory_order_relaxed);
        stats.dropped += lane->header()->drops.load(std::memory_order_relaxed);
    }
}

void LaneSources::adopt_added() {
    decltype(added_) lanes;
    {
        const std::lock_guard lock(mutex_);
        lanes.swap(added_);
    }
    for (const auto& [number, lane] : lanes) {
        lane->prefault();
        sources_.push_back({number, LaneReader(*lane)});
    }
}

void LaneSources::adopt_recovered(std::uint64_t number, const LaneReader& reader,
                                  std::unique_ptr<LaneMapping> lane) {
    sources_.push_back({number, reader});
    recovered_.push_back(std::move(lane));
}

const std::vector<LaneTail>& LaneSources::moved_tails() {
    tails_.clear();
    for (const Source& source : sources_) {
        if (!source.has_moved()) continue;
        tails_.push_back({source.number, source.reader.position(), source.reader.records_read(),
                          source.drops_taken});
    }
    return tails_;
}

void LaneSources::release_moved(std::uint64_t seq_next) {
    for (Source& source : sources_) {
        if (!source.has_moved()) continue;
        source.logged_position = source.reader.position();
        source.logged_drops = source.drops_taken;
        source.reader.release(source.logged_drops, seq_next);
    }
}

void LaneSources::free_rings() const noexcept {
    for (const Source& source : sources_) {
        if (source.reader.position() != source.logged_position) return;
    }
    for (const auto& lane : recovered_) lane->free_ring();
}

}  // namespace homeward
