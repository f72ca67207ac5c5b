#include "consumer/service/housekeeper.hpp"

#include <spdlog/spdlog.h>

#include "consumer/base/printed_commands.hpp"
#include "consumer/base/thread_body.hpp"
#include "consumer/ledger/closed_days.hpp"
#include "consumer/repair/dead_letters.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

constexpr auto kPartitionsInterval = 10min;
/// When a day past its retention could not be dropped.
constexpr auto kDropRetryInterval = 10s;
constexpr auto kForgetInterval = 1h;
/// Looks at every origin there is.
constexpr auto kHolesInterval = 30s;
/// Between two looks for days to be counted, when there was none or somebody was in the way.
constexpr auto kDaysInterval = 1min;

}  // namespace

Housekeeper::Housekeeper(const Parts& parts)
    : config_(parts.config),
      catalog_(parts.catalog),
      metrics_(parts.metrics),
      dead_letter_quota_(parts.dead_letter_quota),
      memory_(parts.memory),
      plain_acks_(parts.plain_acks),
      packer_(parts.config.postgres),
      redriver_(parts.config, parts.catalog),
      thread_(start_thread("housekeeper", [this] { run(); })) {}

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
        interval = std::chrono::milliseconds(config_.ledger.compact_interval_ms);
        try {
            if (!leader_ || leader_->is_broken()) {
                leader_.reset();
                leader_.emplace(config_.postgres.upkeep_url, config_.postgres);
            }
            step("registering", [this] { registration_.beat(*leader_); });
            step("ending stalled transactions", [this] { end_stalled(*leader_); });
            step("looking for lost commits", [this] { find_commits_lost_in_failover(*leader_); });
            step("compacting the ledger", [this] { compact(*leader_); });
            maintain_partitions(*leader_);
            step("forgetting ended origins", [this] { forget(*leader_); });
            step("measuring dead letters", [this] { measure_dead_letters(*leader_); });
            redrive_parked(*leader_);
            step("noting acks of plain messages", [this] { plain_acks_.note(*leader_); });
            step("counting holes", [this] { count_holes(*leader_); });
            pack_days(*leader_);
            step("counting closed days", [this] { count_days(*leader_); });
            metrics_.leader_up = true;
        } catch (const LeaderError& error) {
            // Also while there is nothing to write.
            if (!leader_ || leader_->is_broken()) metrics_.leader_up = false;
            spdlog::warn("housekeeping: {} [{}]; trying again", error.what(), error.sqlstate());
            leader_.reset();
        } catch (const std::exception& error) {
            spdlog::error("thread housekeeper: {}; trying again", error.what());
            leader_.reset();
        }
    }
}

/// Each step fails alone: what is wrong with one table must not stop the ledger's upkeep. Throws
/// only when the connection or its leader is gone.
bool Housekeeper::step(const std::string& what, const std::function<void()>& work) {
    constexpr auto kComplainInterval = 1min;
    try {
        work();
        if (complained_.erase(what) == 1) spdlog::info("housekeeping, {}: works again", what);
        return true;
    } catch (const LeaderError& error) {
        // Read-only: the next connection looks for the new leader.
        if (leader_->is_broken() || error.sqlstate() == "25006") throw;
        const auto now = std::chrono::steady_clock::now();
        const auto [last, is_new] = complained_.try_emplace(what, now);
        if (is_new || now - last->second >= kComplainInterval) {
            last->second = now;
            spdlog::error("housekeeping, {}: {} [{}]; trying again", what, error.what(),
                          error.sqlstate());
        }
        return false;
    }
}

/// A standby was promoted: did it have all that we committed?
void Housekeeper::find_commits_lost_in_failover(PgConnection& leader) {
    const std::size_t lacking = memory_.note_lost_commits(leader);
    if (lacking == 0) return;
    metrics_.lacking_frames += lacking;
    spdlog::error("the new leader, on timeline {}, lacks {} frames that had been committed; {}",
                  leader.identity().timeline, lacking,
                  config_.postgres.ack_after == "commit"
                      ? std::string("they were acknowledged (postgres.ack_after = \"commit\") and "
                                    "are lost; this names the holes: ") +
                            command::kProof
                      : "those that were not acknowledged come again from their streams");
}

void Housekeeper::compact(PgConnection& leader) {
    metrics_.compacted_frames += static_cast<std::uint64_t>(
        leader
            .query("SELECT homeward.compact($1)",
                   {static_cast<std::int64_t>(config_.ledger.ranges_max)})
            .number(0, 0));
    leader.query("SELECT homeward.complete_origins()");
}

void Housekeeper::forget(PgConnection& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < forget_due_) return;
    leader.query("SELECT homeward.forget($1)",
                 {static_cast<std::int64_t>(config_.ledger.forget_days)});
    forget_due_ = now + kForgetInterval;
}

void Housekeeper::maintain_partitions(PgConnection& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < partitions_due_) return;
    std::chrono::milliseconds next = kPartitionsInterval;
    for (const EventType& type : catalog_->types()) {
        if (type.partitioning != Partitioning::day) continue;
        const auto work = [&] {
            leader.query(
                "SELECT homeward.ensure_partitions($1, $2,"
                " ARRAY(SELECT (now() AT TIME ZONE 'UTC')::date + d"
                " FROM generate_series(0, $3::int4) AS d))",
                {config_.postgres.event_schema, type.table,
                 static_cast<std::int64_t>(config_.schema.partitions_ahead_days)});
            if (!drop_expired(leader, type)) next = kDropRetryInterval;
        };
        if (!step("partitions of " + type.table, work)) next = kDropRetryInterval;
    }
    partitions_due_ = now + next;
}

/// One day, one transaction. False when somebody's open transaction is in the way.
bool Housekeeper::drop_expired(PgConnection& leader, const EventType& type) {
    try {
        for (;;) {
            const QueryResult dropped =
                leader.query("SELECT homeward.drop_expired_partition($1, $2)",
                             {config_.postgres.event_schema, type.table});
            if (dropped.is_null(0, 0)) return true;
            spdlog::info("dropped {}, which was past its retention", dropped.at(0, 0));
        }
    } catch (const LeaderError& error) {
        if (error.sqlstate() != "55P03") throw;
        return false;
    }
}

/// Consumers may be frozen (SIGSTOP, a stopped machine) in the middle of sending rows. The server
/// can end a transaction that idles or computes for too long, but not one that waits for rows; and
/// what that has claimed, all others wait for.
void Housekeeper::end_stalled(PgConnection& leader) {
    const std::int64_t ended =
        leader
            .query("SELECT homeward.end_stalled_writers($1)",
                   {static_cast<std::int64_t>(config_.postgres.statement_timeout_ms)})
            .number(0, 0);
    if (ended > 0) {
        spdlog::warn("ended {} transactions whose consumers have sent nothing for too long", ended);
    }
}

void Housekeeper::measure_dead_letters(PgConnection& leader) {
    dead_letter_quota_.begin_measurement();
    const QueryResult sums = leader.query(
        "SELECT l.open, l.parked, l.bytes, c.open, c.bytes"
        " FROM homeward.letter_sums() AS l, homeward.conflict_sums() AS c");
    const auto sum = [&](int column) { return static_cast<std::uint64_t>(sums.number(0, column)); };
    metrics_.letters_open = sum(0);
    metrics_.letters_parked = sum(1);
    metrics_.letter_bytes = sum(2);
    dead_letter_quota_.measured({sum(0) + sum(1) + sum(3), sum(2) + sum(4), sum(0)},
                                letter_sums(leader));
}

void Housekeeper::redrive_parked(PgConnection& leader) {
    for (const EventType& type : catalog_->types()) {
        step("redriving parked events of type " + type.name, [&] {
            const RedriveResult result = redriver_.redrive_parked(leader, type.name);
            metrics_.redriven += result.redriven;
            if (result.redriven + result.still_dead == 0) return;
            spdlog::info("{} parked events of type {} have landed, {} are dead letters",
                         result.redriven, type.name, result.still_dead);
        });
    }
}

void Housekeeper::count_holes(PgConnection& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < holes_due_) return;
    const QueryResult sums = leader.query(
        // A frame of seqs close to 2^63 makes as many holes, and two of them more than int8 holds.
        "SELECT least(coalesce(sum(holes), 0), 9223372036854775807)::int8,"
        " least(coalesce(sum(holes) FILTER (WHERE late), 0), 9223372036854775807)::int8"
        " FROM (SELECT greatest(accepted - homeward.seq_count(settled), 0) AS holes,"
        " is_abandoned OR last_seen_at < (SELECT now() - homeward.missing_after()) AS late"
        " FROM homeward.origin_status"
        " UNION ALL SELECT seq_last - seq_first + 1, true FROM homeward.plain_gap) AS a");
    metrics_.holes = static_cast<std::uint64_t>(sums.number(0, 0));
    metrics_.holes_missing = static_cast<std::uint64_t>(sums.number(0, 1));
    holes_due_ = now + kHolesInterval;
}

/// A part of a day at a time, so that the other steps have their turn in between.
void Housekeeper::pack_days(PgConnection& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < packs_due_) return;
    packs_due_ = now + kDaysInterval;
    for (const EventType& type : catalog_->types()) {
        if (!type.is_packed) continue;
        bool has_more = false;
        step("packing closed days of " + type.table,
             [&] { has_more = packer_.work(leader, type); });
        if (!has_more) continue;
        packs_due_ = {};
        return;
    }
}

/// One day at a time, likewise.
void Housekeeper::count_days(PgConnection& leader) {
    const auto now = std::chrono::steady_clock::now();
    if (now < days_due_) return;
    days_due_ = now + kDaysInterval;
    if (count_closed_day(leader)) days_due_ = {};
}

}  // namespace homeward::consumer
