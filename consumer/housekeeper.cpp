#include "consumer/housekeeper.hpp"

#include <spdlog/spdlog.h>

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kPartitionsInterval = 10min;

}  // namespace

Housekeeper::Housekeeper(const Config& config, const std::vector<EventType>& types,
                         Metrics& metrics)
    : config_(config), types_(types), metrics_(metrics), thread_([this] { run(); }) {}

Housekeeper::~Housekeeper() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
}

void Housekeeper::run() {
    const std::chrono::milliseconds interval(config_.ledger.fold_interval_ms);
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (stop_.wait_for(lock, interval, [this] { return stopping_; })) return;
        }
        try {
            if (!leader_ || leader_->is_broken()) {
                leader_.reset();
                leader_.emplace(config_.postgres.url, config_.postgres);
            }
            fold(*leader_);
            tend_partitions(*leader_);
        } catch (const LeaderError& error) {
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
    for (const EventType& type : types_) {
        if (type.partitioning != Partitioning::day) continue;
        leader.query(
            "SELECT homeward.ensure_partition($1, $2, (now() AT TIME ZONE 'UTC')::date + d)"
            " FROM generate_series(0, $3::int4) AS d",
            {config_.postgres.event_schema, type.table,
             static_cast<std::int64_t>(config_.schema.partitions_ahead_days)});
        const QueryResult dropped =
            leader.query("SELECT homeward.drop_expired_partitions($1, $2)",
                         {config_.postgres.event_schema, type.table});
        for (int row = 0; row < dropped.rows(); ++row) {
            spdlog::info("dropped {}, which was past its retention", dropped.at(row, 0));
        }
    }
    partitions_due_ = now + kPartitionsInterval;
}

}  // namespace homeward::consumer
