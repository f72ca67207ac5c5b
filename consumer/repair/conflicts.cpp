#include "consumer/repair/conflicts.hpp"

#include <algorithm>

#include "consumer/postgres/sql_text.hpp"
#include "consumer/repair/query_conditions.hpp"

namespace homeward::consumer {
namespace {

/// Of one transaction, in which nobody else can settle anything.
constexpr std::size_t kDiscardFramesMax = 500;

QueryConditions conditions_of(const ConflictFilter& filter) {
    QueryConditions where;
    if (!filter.ids.empty()) where.add("c.id = ANY (?::int8[])", array_text(filter.ids));
    if (!filter.states.empty()) where.add("c.state = ANY (?::text[])", array_text(filter.states));
    if (filter.region) where.add("c.region = ?", *filter.region);
    if (filter.app) where.add("c.app = ?", *filter.app);
    if (filter.reason) where.add("strpos(lower(c.reason), lower(?)) > 0", *filter.reason);
    if (filter.since) where.add("c.recorded_at >= ?::timestamptz", *filter.since);
    return where;
}

}  // namespace

bool ConflictFilter::is_narrow() const {
    return !ids.empty() || region || app || reason || since;
}

std::vector<Conflict> read_conflicts(PgConnection& leader, const ConflictFilter& filter,
                                     std::int64_t conflicts_max, bool with_frame) {
    const QueryConditions where = conditions_of(filter);
    const QueryResult rows = leader.query(
        std::string("SELECT c.id, c.state, a.class, a.publisher, a.region, a.app, c.region, c.app, "
                    "c.origin,"
                    " c.seq_first, c.seq_last, CASE WHEN c.seq_last < c.seq_first THEN 0 ELSE"
                    " homeward.seq_count(int8multirange(int8range(c.seq_first, c.seq_last, '[]'))"
                    " - coalesce(a.settled, '{}')) END, c.reason, c.message_time, c.recorded_at, "
                    "c.closed_at,"
                    " c.frame_bytes, ") +
            (with_frame ? "c.frame" : "''") +
            " FROM homeward.conflict c LEFT JOIN homeward.origin_status a ON a.origin = c.origin"
            " WHERE true" +
            where.sql() + " ORDER BY c.id" +
            (conflicts_max > 0 ? " LIMIT " + std::to_string(conflicts_max) : ""),
        where.parameters());
    std::vector<Conflict> conflicts;
    for (int i = 0; i < rows.rows(); ++i) {
        const auto text = [&](int column) { return std::string(rows.at(i, column)); };
        Conflict one;
        one.id = rows.number(i, 0);
        one.state = text(1);
        one.event_class = text(2);
        one.publisher = text(3);
        one.origin_region = text(4);
        one.origin_app = text(5);
        one.region = text(6);
        one.app = text(7);
        one.origin = rows.number(i, 8);
        one.seq_first = rows.number(i, 9);
        one.seq_last = rows.number(i, 10);
        one.unsettled = rows.number(i, 11);
        one.reason = text(12);
        one.message_time = text(13);
        one.seen_at = text(14);
        one.closed_at = text(15);
        one.frame_bytes = rows.number(i, 16);
        if (with_frame) one.frame = bytes_of_bytea(rows.at(i, 17));
        conflicts.push_back(std::move(one));
    }
    return conflicts;
}

std::vector<std::int64_t> find_conflicts(PgConnection& leader, const ConflictFilter& filter) {
    const QueryConditions where = conditions_of(filter);
    const QueryResult rows = leader.query(
        "SELECT c.id FROM homeward.conflict c WHERE true" + where.sql() + " ORDER BY c.id",
        where.parameters());
    std::vector<std::int64_t> ids;
    for (int i = 0; i < rows.rows(); ++i) ids.push_back(rows.number(i, 0));
    return ids;
}

Discard discard_conflicts(PgConnection& leader, const std::vector<std::int64_t>& ids) {
    Discard sum;
    for (std::size_t at = 0; at < ids.size(); at += kDiscardFramesMax) {
        const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(ids.size() - at, kDiscardFramesMax);
        const QueryResult done =
            leader.query("SELECT discarded, tombstoned FROM homeward.discard_conflicts($1::int8[])",
                         {array_text(std::vector<std::int64_t>(
                             begin, begin + static_cast<std::ptrdiff_t>(count)))});
        sum.discarded += done.number(0, 0);
        sum.tombstoned += done.number(0, 1);
    }
    return sum;
}

}  // namespace homeward::consumer
