#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consumer/ledger/closed_days.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// One row of homeward.proof; the sum has origin 0.
struct ProofRow {
    std::int64_t origin = 0;
    std::string publisher, kind, region, app, state;
    std::int64_t accepted = 0;
    std::int64_t committed = 0;
    std::int64_t dead = 0;
    std::int64_t tombstoned = 0;
    std::int64_t in_flight = 0;
    std::int64_t missing = 0;
    std::int64_t duplicated = 0;
    std::int64_t erased = 0;           ///< by `homeward-consumer erase`
    std::int64_t expired = 0;          ///< of the committed, rows whose day was dropped or detached
    bool possible_duplicates = false;  ///< declared: another origin may have the same events
    std::vector<std::pair<std::int64_t, std::int64_t>> missing_seqs;  ///< see name_missing()
};

/// Plain messages that left their stream without having been written: sequences of that.
struct PlainGap {
    std::string stream;
    std::int64_t seq_first = 0;
    std::int64_t seq_last = 0;
};

struct Proof {
    std::vector<ProofRow> origins;
    std::vector<PlainGap> plain_gaps;
    ProofRow sum;  ///< each message of a gap counts as one event, accepted and missing

    bool is_clean() const { return sum.missing == 0 && sum.duplicated == 0; }
    /// Calls what is in flight missing: the streams are drained, and nothing is under way.
    void finalize();
    std::string to_table() const;
    /// `differing`: of recount_days().
    std::string to_json(const CountSummary& counts,
                        const std::vector<std::string>& differing) const;
    /// "proof: emitted=… committed=… dead=… dropped=… missing=… duplicated=…"
    std::string summary() const;
};

/// What the proof rests on, a line each; empty when every row was read.
std::string counts_text(const CountSummary& counts, const std::vector<std::string>& differing);

/// Of all origins and the streams of plain messages, or of the origins with these numbers.
Proof read_proof(PgConnection& leader,
                 const std::optional<std::vector<std::int64_t>>& origins = std::nullopt);
/// The numbers of the origins that `whom` names: one by its number, or all of a publisher by 8
/// digits or more of it.
std::vector<std::int64_t> find_origins(PgConnection& leader, const std::string& whom);
/// Fills in, for every origin that misses events, which; reads all rows of those origins.
void name_missing(PgConnection& leader, Proof& proof);

struct Abandonment {
    std::size_t abandoned = 0;
    std::vector<std::string> lines;  ///< one an origin, for an operator
};
/// Declares that what an origin has not delivered will never come. `whom`: its number, or 8 digits
/// or more of its publisher. Only one that is open: neither complete nor heard of lately. Or a
/// stream, of which the messages that are missing are given up.
Abandonment abandon(PgConnection& leader, const std::string& whom);

}  // namespace homeward::consumer
