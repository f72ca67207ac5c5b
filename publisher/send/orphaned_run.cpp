#include "publisher/send/orphaned_run.hpp"

#include <algorithm>
#include <optional>

#include "publisher/cells/cell_recovery.hpp"

namespace homeward {
namespace {

constexpr std::string_view kDamaged = "damaged";
/// Accepted, not yet logged, and gone with the memory of the machine.
constexpr std::string_view kRestarted = "machine_restart";
/// Accepted, not yet logged, and gone with a lane, as when a container starts anew.
constexpr std::string_view kLanesLost = "lanes_lost";

/// Beyond the lanes that a publisher makes.
constexpr std::uint64_t kFirstCellLane = 1u << 20;
/// Some hundred points each.
constexpr std::size_t kCellLaneBytes = 256u << 10;

bool is_empty(const LaneMapping& lane) {
    LaneReader reader(lane, nullptr);
    std::span<const std::byte> payload;
    return reader.read(payload) == LaneReader::Outcome::empty &&
           reader.drops() <= reader.drops_reported();
}

}  // namespace

OrphanedRun::OrphanedRun(std::unique_ptr<Run> run, const Origin::Limits& limits, OnLog on_log)
    : run_(std::move(run)), limits_(limits), on_log_(std::move(on_log)) {
    auto lanes = run_->open_lanes(lanes_damaged_);
    recover_cells(lanes);
    for (EventClass event_class : {EventClass::audit, EventClass::metric}) {
        Origin::Lanes mine;
        for (auto& [number, lane] : lanes) {
            if (lane != nullptr && lane->event_class() == event_class) {
                mine.emplace(number, std::move(lane));
            }
        }
        std::vector<std::uint64_t> found;
        for (const auto& lane : mine) found.push_back(lane.first);
        recover_class(event_class, std::move(mine));
        report_lost_lanes(event_class, found);
    }
    for (const auto& origin : origins_) {
        if (lanes_damaged_ > 0) origin->leave_open();
    }
}

/// What meters had counted and not reported becomes events in further lanes. Not after a restart of
/// the machine: then cells and lanes on a disk may be of different moments.
void OrphanedRun::recover_cells(Run::Lanes& lanes) {
    if (run_->is_interrupted() || run_->has_lost_lane_dir()) return;
    CellRecovery cells(run_->lanes_path(), [&lanes](std::uint64_t number) {
        const auto found = lanes.find(number);
        return found == lanes.end() ? std::optional<std::uint64_t>()
                                    : found->second->header()->head.load();
    });
    std::uint64_t next = lanes.empty() ? 0 : lanes.rbegin()->first + 1;
    next = std::max(next, kFirstCellLane);
    std::optional<detail::LaneWriter> writer;
    cells.recover([&]() -> CellRecovery::NewLane {
        auto lane = std::make_unique<LaneMapping>(
            LaneMapping::create(run_->create_lane_file(next), EventClass::metric, kCellLaneBytes));
        writer.emplace(lane->header(), lane->ring(), false);
        lanes.emplace(next, std::move(lane));
        return {&*writer, next++};
    });
    if (!cells.problem().empty()) on_log_("metrics of a dead process: " + cells.problem());
}

/// What went with lanes that are not there. After an interruption nobody knows which seqs had left,
/// and none may become a tombstone; the leader is told how many there are, and shows what it lacks.
void OrphanedRun::report_lost_lanes(EventClass event_class,
                                    const std::vector<std::uint64_t>& found) {
    const Run::LostLanes lost = run_->lost_lanes(event_class, found);
    if (!lost.any) return;
    has_lost_lanes_ = true;
    Origin& origin = *origins_[event_class == EventClass::audit ? 0 : first_of_metric_];
    // Also if nothing is found to be lost now: whoever began to send this run may have reported it.
    origin.leave_open();
    const std::string what = "lanes of publisher " + run_->identity().publisher.hex() + " in " +
                             run_->identity().lane_dir.string() + " are gone, with the " +
                             std::string(to_string(event_class)) + " events in them";
    if (!lost.accepted) {
        on_log_(what + "; nobody counted how many");
    } else if (run_->is_interrupted()) {
        if (found.empty()) origin.expect_accepted(*lost.accepted);
        on_log_(what);
    } else {
        origin.report_lost_lanes(*lost.accepted, kLanesLost);
    }
}

OrphanedRun::~OrphanedRun() {
    if (frame_sender_ == nullptr) return;
    for (const auto& origin : origins_) frame_sender_->remove(origin.get());
}

void OrphanedRun::send_by(FrameSender& frame_sender) {
    on_log_("sending what publisher " + run_->identity().publisher.hex() + " left in the spool");
    if (lanes_damaged_ > 0) {
        on_log_(std::to_string(lanes_damaged_) + " damaged lanes of it cannot be read");
    }
    frame_sender_ = &frame_sender;
    for (const auto& origin : origins_) frame_sender.add(origin.get());
}

bool OrphanedRun::compact() {
    bool is_empty = lanes_damaged_ == 0 && !has_lost_lanes_;
    for (const auto& origin : origins_) {
        while (origin->drain(true) == Origin::Cut::cut) continue;
        origin->compact();
        is_empty = is_empty && origin->accepted() == 0;
    }
    if (is_empty) run_->remove();
    return is_empty;
}

void OrphanedRun::recover_class(EventClass event_class, Origin::Lanes lanes) {
    if (event_class == EventClass::metric) first_of_metric_ = origins_.size();
    origins_.push_back(std::make_unique<Origin>(*run_, event_class, limits_));
    Origin& origin = *origins_.back();
    // A run whose own lanes are another's has sent under a new origin from the start.
    if (!run_->identity().successor_of.empty()) origin.declare_possible_duplicates();
    if (!run_->is_interrupted()) {
        const bool same_boot = run_->identity().boot_id == machine_boot_id();
        origin.recover_log(same_boot ? kDamaged : kRestarted);
        origin.recover_lanes(std::move(lanes));
        return;
    }
    origin.recover_log("");
    origin.declare_possible_duplicates();
    const bool all_empty = std::all_of(lanes.begin(), lanes.end(),
                                       [](const auto& lane) { return is_empty(*lane.second); });
    if (all_empty) return;
    Origin& heir = origin_of_lanes(event_class);
    heir.declare_possible_duplicates();
    heir.recover_lanes(std::move(lanes), &origin);
}

/// Of the run that takes over the lanes.
Origin& OrphanedRun::origin_of_lanes(EventClass event_class) {
    if (successor_ == nullptr) {
        RunIdentity identity = run_->identity();
        std::optional<SigningKey> key;
        if (run_->signing_key() != nullptr) key = SigningKey::generate();
        identity.publisher = key ? key->publisher() : PublisherId::random();
        identity.successor_of = run_->identity().publisher.hex();
        successor_ = Run::create(run_->directory().parent_path(), identity, std::move(key));
        successor_->count_lanes(0);  // it has none that could be lost
        successor_->copy_types(*run_);
        on_log_("the machine has restarted since publisher " + identity.successor_of +
                " ran: what its lanes hold goes out as publisher " + identity.publisher.hex() +
                ", and may repeat events that had left before");
    }
    origins_.push_back(std::make_unique<Origin>(*successor_, event_class, limits_));
    return *origins_.back();
}

bool OrphanedRun::advance() {
    bool is_over = true;
    for (const auto& origin : origins_) {
        is_over = origin->finish() && origin->is_all_acked() && is_over;
    }
    if (frame_sender_ != nullptr) frame_sender_->wake();
    if (!is_over) return false;
    const ClassStats sums = stats();
    on_log_("publisher " + run_->identity().publisher.hex() + ": sent " +
            std::to_string(sums.acked) + " events" +
            (sums.tombstoned > 0
                 ? ", reported " + std::to_string(sums.tombstoned) + " as dropped, damaged or lost"
                 : ""));
    // The lanes' run goes last: until then the successor's frames are all that is left of them.
    if (successor_ != nullptr) successor_->remove();
    run_->remove();
    return true;
}

ClassStats OrphanedRun::stats() const {
    ClassStats sum;
    for (const auto& origin : origins_) origin->add_stats(sum);
    return sum;
}

}  // namespace homeward
