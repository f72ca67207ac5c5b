#include "consumer/housekeeper.hpp"

#include <spdlog/spdlog.h>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kPartitionsInterval = 10min;
/// Looks at every origin there is.
constexpr auto kHolesInterval = 30s;

}  // namespace

Housekeeper::Housekeeper(const Config& config, std::shared_ptr<const Catalog> catalog,
                         Metrics& metrics, LetterRoom& letter_room)
    : config_(config),
      catalog_(catalog),
      metrics_(metrics),
      letter_room_(letter_room),
      redriver_(config, catalog),
      thread_([this] { run(); }) {}

Housekeeper::~Housekeeper() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

void Housekeeper::run() {
    // At once: what is parked may have its type by now, and the room for dead letters is unknown.
    std::chrono::milliseconds interval(0);
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (stop_.wait_for(lock, interval, [this] { return stopping_; })) return;
        }
        interval = std::chrono::milliseconds(config_.ledger.fold_interval_ms);
        try {
            if (!leader_ || leader_->is_broken()) {
                leader_.reset();
                leader_.emplace(config_.postgres.url, config_.postgres);
            }
            fold(*leader_);
            tend_partitions(*leader_);
            tend_dead_letters(*leader_);
            count_holes(*leader_);
            metrics_.leader_up = true;
        } catch (const LeaderError& error) {
            // Also while there is nothing to write.
            if (!leader_ || leader_->is_broken()) metrics_.leader_up = false;
            spdlog::warn("housekeeping: {} [{}]; trying again", error.what(), error.sqlstate());
            leader_.reset();
        }
    }
}

void Housekeeper::fold(Leader& leader) {
    metrics_.folded_frames +=
        static_cast<std::uint64_t>(leader.query("SELECT homeward.fold()").number(0, 0));
}

void Housekeeper::tend_partitions(Leader& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < partitions_due_) return;
    for (const EventType& type : catalog_->types()) {
        if (type.partitioning != Partitioning::day) continue;
        leader.query(
            "SELECT homeward.ensure_partition($1, $2, (now() AT TIME ZONE 'UTC')::date + d)"
            " FROM generate_series(0, $3::int4) AS d",
            {config_.postgres.event_schema, type.table,
             static_cast<std::int64_t>(config_.schema.partitions_ahead_days)});
        const QueryResult dropped = leader.query("SELECT homeward.drop_expired_partitions($1, $2)",
                                                 {config_.postgres.event_schema, type.table});
        for (int row = 0; row < dropped.rows(); ++row) {
            spdlog::info("dropped {}, which was past its retention", dropped.at(row, 0));
        }
    }
    partitions_due_ = now + kPartitionsInterval;
}

void Housekeeper::tend_dead_letters(Leader& leader) {
    const RedriveResult result = redriver_.redrive_parked(leader);
    metrics_.redriven += result.redriven;
    if (result.redriven + result.still_dead > 0) {
        spdlog::info("{} parked events of types known by now have landed, {} are dead letters",
                     result.redriven, result.still_dead);
    }
    const QueryResult sums = leader.query("SELECT open, parked, bytes FROM homeward.letter_sums()");
    const auto sum = [&](int column) { return static_cast<std::uint64_t>(sums.number(0, column)); };
    metrics_.letters_open = sum(0);
    metrics_.letters_parked = sum(1);
    metrics_.letter_bytes = sum(2);
    letter_room_.measured(sum(0) + sum(1), sum(2));
}

void Housekeeper::count_holes(Leader& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < holes_due_) return;
    const QueryResult sums = leader.query(
        "SELECT coalesce(sum(holes), 0)::int8, coalesce(sum(holes) FILTER (WHERE late), 0)::int8"
        " FROM (SELECT greatest(accepted - homeward.seq_count(settled), 0) AS holes,"
        " abandoned OR heard_at < now() - homeward.missing_after() AS late"
        " FROM homeward.account) AS a");
    metrics_.holes = static_cast<std::uint64_t>(sums.number(0, 0));
    metrics_.holes_missing = static_cast<std::uint64_t>(sums.number(0, 1));
    holes_due_ = now + kHolesInterval;
}

}  // namespace homeward::consumer
