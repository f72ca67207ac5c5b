#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// The ledger's statements, each inside the transaction at hand. Messages that are skipped are left
/// out. Plain messages have their own way into the ledger: PlainReservations.
namespace ledger {

enum class Verdict : unsigned char {
    fresh,
    settled,
    overlap,
    fragmented,  ///< would begin one range more in an origin that has ledger.ranges_max of them
    differs      ///< settled, but from a frame of other bytes; known until that one is compacted
};
/// Why a frame with that verdict is quarantined.
std::string_view explain(Verdict verdict);
/// For a batch that is to be careful: what of it is new; that is claimed at once. One verdict a
/// message; for heartbeats and skipped messages `fresh`.
std::vector<Verdict> claim(PgConnection& leader, const Batch& batch);

/// Dead letters and tombstones; marks.
void write_rest(PgConnection& leader, const Batch& batch);

/// What the leader says of a commit.
struct Settlement {
    double ledger_s;   ///< the time that it spent before it came to COMMIT
    std::int64_t lsn;  ///< up to where its log is on the disk, the commit included
};
/// The optimistic end: settles the frames, checks both levels, and commits, in one round trip.
/// 23505 or HW001 mean that some of it was settled before: nothing was committed.
Settlement settle_and_commit(PgConnection& leader, const Batch& batch);
/// Of a batch whose frames were claimed before; returns the LSN. HW001: somebody has settled a part
/// of them meanwhile, under other keys.
std::int64_t seal_and_commit(PgConnection& leader, const Batch& batch);

/// A frame that contradicts the ledger is kept for an operator.
void quarantine(PgConnection& leader, const MessageWork& work, const std::string& reason);

struct Run {
    std::uint64_t seq_first, seq_last;
};
/// Of a frame that an operator accepts after all: what the ledger has not settled yet, which is
/// settled herewith. Whoever else settles anything waits until the transaction ends.
std::vector<Run> claim_rest(PgConnection& leader, const MessageWork& work);

}  // namespace ledger
}  // namespace homeward::consumer
