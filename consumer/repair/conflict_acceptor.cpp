#include "consumer/repair/conflict_acceptor.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "consumer/base/time.hpp"
#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

constexpr int kTriesMax = 20;
constexpr std::chrono::milliseconds kTryAgain{250};

using Runs = std::vector<ledger::Run>;

bool has(const Runs& runs, std::uint64_t seq) {
    return std::any_of(runs.begin(), runs.end(), [seq](const ledger::Run& run) {
        return run.seq_first <= seq && seq <= run.seq_last;
    });
}

/// What of a tombstone lies within the runs.
void cut(const Tombstone& whole, const Runs& runs, std::vector<Tombstone>& pieces) {
    for (const ledger::Run& run : runs) {
        const std::uint64_t first = std::max(whole.seq_first, run.seq_first);
        const std::uint64_t last = std::min(whole.seq_last, run.seq_last);
        if (first <= last) pieces.push_back({first, last, whole.reason});
    }
}

/// Leaves of the message only what was not settled before.
void keep_only(MessageWork& work, const Runs& runs) {
    std::erase_if(work.events, [&](const EventRow& event) { return !has(runs, event.seq); });
    std::erase_if(work.dead, [&](const DeadEvent& dead) { return !has(runs, dead.seq); });
    std::vector<Tombstone> pieces;
    for (const Tombstone& tombstone : work.tombstones) cut(tombstone, runs, pieces);
    work.tombstones = std::move(pieces);
}

std::uint64_t seqs_of(const Runs& runs) {
    std::uint64_t seqs = 0;
    for (const ledger::Run& run : runs) seqs += run.seq_last - run.seq_first + 1;
    return seqs;
}

}  // namespace

ConflictAcceptor::ConflictAcceptor(const Config& config, std::shared_ptr<const Catalog> catalog)
    : catalog_(std::move(catalog)),
      partitions_(config.postgres),
      copier_(config, *catalog_, partitions_),
      decoder_(catalog_, time_limits(config)) {}

Acceptance ConflictAcceptor::accept(PgConnection& leader, std::int64_t id) {
    for (int tries = 1;; ++tries) {
        try {
            leader.execute("BEGIN; SET CONSTRAINTS ALL IMMEDIATE");
            TableDays missing;
            const Acceptance result = accept_once(leader, id, missing);
            const bool is_done = result.kind == Acceptance::Kind::accepted && missing.empty();
            leader.execute(is_done ? "COMMIT" : "ROLLBACK");
            if (missing.empty()) return result;
            // Never inside the transaction, whose locks all others would wait for.
            partitions_.ensure(leader, missing);
            continue;
        } catch (const LeaderError& error) {
            partitions_.forget();
            if (leader.is_broken()) throw;
            leader.execute("ROLLBACK");
            if (classify(error.sqlstate(), true) != ErrorClass::retry || tries == kTriesMax) throw;
        }
        std::this_thread::sleep_for(kTryAgain);
    }
}

bool ConflictAcceptor::take(PgConnection& leader, std::int64_t id, MessageWork& work) {
    const QueryResult taken = leader.query(
        "SELECT origin, frame, message_time_us FROM homeward.take_conflict($1)", {Parameter(id)});
    if (taken.rows() == 0) return false;
    auto frame = std::make_unique<std::string>(bytes_of_bytea(taken.at(0, 1)));
    Message& message = work.pulled.message;
    message.data = std::as_bytes(std::span<const char>(*frame));
    message.owner = {frame.release(), [](void* text) { delete static_cast<std::string*>(text); }};
    message.delivery.time_us = taken.number(0, 2);
    work.origin = static_cast<std::int32_t>(taken.number(0, 0));
    return true;
}

/// Nothing is written when days are `missing`.
Acceptance ConflictAcceptor::accept_once(PgConnection& leader, std::int64_t id,
                                         TableDays& missing) {
    Batch batch(1);
    MessageWork& work = batch.front();
    Acceptance result;
    if (!take(leader, id, work)) return result;
    result.kind = Acceptance::Kind::unreadable;
    if (!MessageDecoder::open_frame(work)) return result;
    decoder_.decode(work, system_us());
    if (work.is_refused) return result;
    result.kind = Acceptance::Kind::accepted;
    missing = copier_.missing_days(batch);
    if (!missing.empty()) return result;
    if (!work.is_heartbeat()) {
        const Runs rest = ledger::claim_rest(leader, work);
        result.settled = work.seq_count - seqs_of(rest);
        keep_only(work, rest);
    }
    copier_.copy_or_bury(leader, batch);
    ledger::write_rest(leader, batch);
    leader.query("SELECT homeward.close_conflict($1, 'accepted')", {Parameter(id)});
    result.rows = work.events.size();
    result.dead_letters = work.dead.size();
    for (const Tombstone& one : work.tombstones) {
        result.tombstones += one.seq_last - one.seq_first + 1;
    }
    return result;
}

}  // namespace homeward::consumer
