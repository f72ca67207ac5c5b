#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "consumer/repair/redriver.hpp"
#include "consumer/write/dead_letter_quota.hpp"

namespace homeward::consumer {

/// A dead letter as an operator looks at it. Times are UTC, as PostgreSQL writes them.
struct DeadLetter {
    std::int64_t id = 0;
    std::string state;  ///< open, parked, redriven, discarded
    std::string event_class, region, app, publisher;
    std::int64_t seq = 0;
    std::string type, reason, sqlstate;  ///< type and sqlstate may be empty
    std::int64_t times_seen = 0;
    std::string message_time, first_seen, last_seen;
    std::int64_t payload_bytes = 0;
    std::string payload;  ///< only when it was asked for, as are the headers
    std::string headers;  ///< of a plain message, as a JSON object; empty without
};

/// Which letters; what is not set does not narrow.
struct LetterFilter {
    std::vector<std::int64_t> ids;
    std::vector<std::string> states{"open", "parked"};  ///< empty: every state
    std::optional<std::string> type, region, app, sqlstate;
    std::optional<std::string> reason;  ///< a part of it, in any case
    std::optional<std::string> since;   ///< first seen at or after; anything PostgreSQL reads

    bool is_narrow() const;  ///< more than the states is set
};

/// A region's app with dead letters that wait, and the oldest of these.
struct LetterSource {
    std::string region, app;
    std::int64_t open = 0, parked = 0, payload_bytes = 0;
    std::string first_seen, reason, sample;
};
/// Those with the most letters first.
std::vector<LetterSource> read_letter_sources(PgConnection& leader);
/// What of each waits, by "region/app".
DeadLetterQuota::Sources letter_sums(PgConnection& leader);

/// Oldest first; `letters_max` 0: all of them.
std::vector<DeadLetter> read_letters(PgConnection& leader, const LetterFilter& filter,
                                     std::int64_t letters_max, bool with_payload = false);
std::vector<LetterRef> find_letters(PgConnection& leader, const LetterFilter& filter);
/// Gives letters up for good, and frees their payloads. Returns how many that were; those that are
/// settled already do not count.
std::int64_t discard_letters(PgConnection& leader, const std::vector<LetterRef>& letters);

}  // namespace homeward::consumer
