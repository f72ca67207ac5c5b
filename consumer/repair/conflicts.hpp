#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// A frame that contradicts the ledger, as an operator looks at it. Times as PostgreSQL writes
/// them.
struct Conflict {
    std::int64_t id = 0;
    std::string state;                      ///< open, accepted, discarded
    std::string event_class, publisher;     ///< of the origin that the frame claims;
    std::string origin_region, origin_app;  ///< empty once it is forgotten
    std::string region, app;                ///< where the frame came from
    std::int64_t origin = 0, seq_first = 0,
                 seq_last = 0;   ///< a count-only frame ends before it begins
    std::int64_t unsettled = 0;  ///< so many of its seqs the ledger lacks
    std::string reason, message_time, seen_at, closed_at;
    std::int64_t frame_bytes = 0;
    std::string frame;  ///< only when it was asked for
};

/// Which frames; what is not set does not narrow. Region and app are those that they came from.
struct ConflictFilter {
    std::vector<std::int64_t> ids;
    std::vector<std::string> states{"open"};  ///< empty: every state
    std::optional<std::string> region, app;
    std::optional<std::string> reason;  ///< a part of it, in any case
    std::optional<std::string> since;   ///< seen at or after; anything PostgreSQL reads

    bool is_narrow() const;
};

/// Oldest first; `conflicts_max` 0: all. Counts `unsettled` for each.
std::vector<Conflict> read_conflicts(PgConnection& leader, const ConflictFilter& filter,
                                     std::int64_t conflicts_max, bool with_frame = false);
/// Their numbers, oldest first.
std::vector<std::int64_t> find_conflicts(PgConnection& leader, const ConflictFilter& filter);

struct Discard {
    std::int64_t discarded = 0;
    std::int64_t tombstoned = 0;
};
/// Gives frames up. What an origin's own frame had and the ledger lacks becomes tombstones; a
/// stranger's frame leaves no trace in the account. Those that are judged already are left as they
/// are.
Discard discard_conflicts(PgConnection& leader, const std::vector<std::int64_t>& ids);

}  // namespace homeward::consumer
