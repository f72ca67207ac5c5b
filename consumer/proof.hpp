#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "consumer/leader.hpp"

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
    bool possible_duplicates = false;  ///< declared: another origin may have the same events
    std::vector<std::pair<std::int64_t, std::int64_t>> missing_seqs;  ///< see name_missing()
};

struct Proof {
    std::vector<ProofRow> origins;
    ProofRow sum;

    bool is_clean() const { return sum.missing == 0 && sum.duplicated == 0; }
    /// Calls what is in flight missing: the streams are drained, and nothing is under way.
    void finalize();
    std::string to_table() const;
    std::string to_json() const;
    /// "proof: emitted=… committed=… dead=… dropped=… missing=… duplicated=…"
    std::string summary() const;
};

Proof read_proof(Leader& leader);
/// Fills in, for every origin that misses events, which; reads all rows of those origins.
void name_missing(Leader& leader, Proof& proof);

struct Abandonment {
    std::size_t abandoned = 0;
    std::vector<std::string> lines;  ///< one an origin, for a person
};
/// Declares that what an origin has not delivered will never come. `whom`: its number, or 8 digits
/// or more of its publisher. Only one that is open: neither complete nor heard of lately.
Abandonment abandon(Leader& leader, const std::string& whom);

}  // namespace homeward::consumer
