#include "consumer/repair/redriver.hpp"

#include <algorithm>
#include <chrono>

#include "consumer/base/plain_text.hpp"
#include "consumer/base/time.hpp"
#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

/// Of one transaction: bounds its time and, with the payloads' bytes, our memory.
constexpr std::size_t kPortionLettersMax = 1'000;
constexpr std::size_t kPortionBytesMax = 8u << 20;

std::size_t portion_of(std::span<const LetterRef> letters) {
    std::size_t bytes = 0;
    std::size_t count = 0;
    while (count < std::min(letters.size(), kPortionLettersMax)) {
        bytes += letters[count].bytes;
        if (count > 0 && bytes > kPortionBytesMax) break;
        ++count;
    }
    return count;
}

}  // namespace

Redriver::Redriver(const Config& config, std::shared_ptr<const Catalog> catalog)
    : catalog_(std::move(catalog)),
      partitions_(config.postgres),
      copier_(config, *catalog_, partitions_),
      decoder_(catalog_, time_limits(config)) {}

RedriveResult Redriver::redrive(PgConnection& leader, std::span<const LetterRef> letters,
                                const std::function<void(std::size_t)>& on_progress) {
    RedriveResult sum;
    for (std::size_t done = 0; done < letters.size();) {
        const std::size_t count = portion_of(letters.subspan(done));
        const RedriveResult result = redrive_portion(leader, letters.subspan(done, count));
        sum.redriven += result.redriven;
        sum.still_dead += result.still_dead;
        done += count;
        if (on_progress) on_progress(done);
    }
    return sum;
}

RedriveResult Redriver::redrive_parked(PgConnection& leader, const std::string& type) {
    RedriveResult sum;
    for (;;) {
        const QueryResult found = leader.query(
            "SELECT id, payload_bytes FROM homeward.parked_letters($1::text[], $2)",
            {array_text(std::vector{type}), static_cast<std::int64_t>(kPortionLettersMax)});
        std::vector<LetterRef> letters;
        for (int row = 0; row < found.rows(); ++row) {
            letters.push_back(
                {found.number(row, 0), static_cast<std::size_t>(found.number(row, 1))});
        }
        const RedriveResult result = redrive(leader, letters);
        sum.redriven += result.redriven;
        sum.still_dead += result.still_dead;
        // Whatever was tried is parked no more; what is left, another consumer has in hand.
        if (result.redriven + result.still_dead == 0) return sum;
    }
}

RedriveResult Redriver::redrive_portion(PgConnection& leader, std::span<const LetterRef> letters) {
    for (;;) {
        TableDays missing;
        if (const auto result = try_portion(leader, letters, missing)) return *result;
        // Never inside the transaction, whose locks all others would wait for.
        partitions_.ensure(leader, missing);
    }
}

/// Nothing is written when days are `missing`.
std::optional<RedriveResult> Redriver::try_portion(PgConnection& leader,
                                                   std::span<const LetterRef> letters,
                                                   TableDays& missing) {
    leader.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE");
    try {
        std::vector<std::int64_t> ids;
        Batch batch = take(leader, letters, ids);
        missing = copier_.missing_days(batch);
        if (!missing.empty()) {
            leader.execute("ROLLBACK");
            return std::nullopt;
        }
        copier_.copy_or_bury(leader, batch);
        const RedriveResult result = settle(leader, batch, ids);
        leader.execute("COMMIT");
        return result;
    } catch (...) {
        partitions_.forget();
        if (!leader.is_broken()) leader.execute("ROLLBACK");
        throw;
    }
}

Batch Redriver::take(PgConnection& leader, std::span<const LetterRef> letters,
                     std::vector<std::int64_t>& ids) {
    std::vector<std::int64_t> wanted;
    for (const LetterRef& letter : letters) wanted.push_back(letter.id);
    const QueryResult taken = leader.query(
        "SELECT id, origin, seq, payload, message_time_us FROM homeward.take_letters($1::int8[])",
        {array_text(wanted)});
    Batch batch(static_cast<std::size_t>(taken.rows()));
    for (int row = 0; row < taken.rows(); ++row) {
        MessageWork& work = batch[static_cast<std::size_t>(row)];
        ids.push_back(taken.number(row, 0));
        work.origin = static_cast<std::int32_t>(taken.number(row, 1));
        work.seq_first = static_cast<std::uint64_t>(taken.number(row, 2));
        work.seq_count = 1;
        work.body = bytes_of_bytea(taken.at(row, 3));
        work.pulled.message.delivery.time_us = taken.number(row, 4);
        decode(work);
    }
    return batch;
}

void Redriver::decode(MessageWork& work) {
    work.body.reserve(work.body.size() + EventDecoder::padding());
    EventOutcome outcome = decoder_.decode(work.body,
                                           {work.origin, static_cast<std::int64_t>(work.seq_first),
                                            work.pulled.message.delivery.time_us},
                                           system_us(), work.rows);
    const auto end = static_cast<std::uint32_t>(work.body.size());
    switch (outcome.kind) {
        case EventOutcome::Kind::row:
            work.events.push_back({outcome.type, work.seq_first, 0,
                                   static_cast<std::uint32_t>(work.rows.size()), 0, end,
                                   outcome.time_us});
            return;
        case EventOutcome::Kind::tombstone:
            outcome.reason = "a tombstone, not an event";
            break;
        case EventOutcome::Kind::unknown:
        case EventOutcome::Kind::bad:
            break;
    }
    work.dead.push_back({work.seq_first, outcome.kind == EventOutcome::Kind::unknown,
                         outcome.type_name, outcome.reason, "", ""});
}

RedriveResult Redriver::settle(PgConnection& leader, const Batch& batch,
                               const std::vector<std::int64_t>& ids) {
    std::vector<std::int64_t> landed, kept;
    std::vector<std::string> states, reasons, sqlstates;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (batch[i].dead.empty()) {
            landed.push_back(ids[i]);
            continue;
        }
        const DeadEvent& dead = batch[i].dead.front();
        kept.push_back(ids[i]);
        states.push_back(dead.parked ? "parked" : "open");
        reasons.push_back(tidy_text(dead.reason, kReasonBytesMax));
        sqlstates.push_back(dead.sqlstate);
    }
    if (!landed.empty()) {
        leader.query("SELECT homeward.close_letters($1::int8[], 'redriven')", {array_text(landed)});
    }
    if (!kept.empty()) {
        leader.query(
            "SELECT homeward.keep_letters($1::int8[], $2::text[], $3::text[], $4::text[])",
            {array_text(kept), array_text(states), array_text(reasons), array_text(sqlstates)});
    }
    return {landed.size(), kept.size()};
}

}  // namespace homeward::consumer
