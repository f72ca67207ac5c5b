#include "consumer/repair/dead_letters.hpp"

#include "consumer/postgres/sql_text.hpp"
#include "consumer/repair/query_conditions.hpp"

namespace homeward::consumer {
namespace {

constexpr const char* kFrom =
    " FROM homeward.dead_letter d JOIN homeward.known_origin o ON o.id = d.origin WHERE true";

QueryConditions conditions_of(const LetterFilter& filter) {
    QueryConditions where;
    if (!filter.ids.empty()) where.add("d.id = ANY (?::int8[])", array_text(filter.ids));
    if (!filter.states.empty()) where.add("d.state = ANY (?::text[])", array_text(filter.states));
    if (filter.type) where.add("d.type = ?", *filter.type);
    if (filter.region) where.add("o.region = ?", *filter.region);
    if (filter.app) where.add("o.app = ?", *filter.app);
    if (filter.sqlstate) where.add("d.sqlstate = ?", *filter.sqlstate);
    if (filter.reason) where.add("strpos(lower(d.reason), lower(?)) > 0", *filter.reason);
    if (filter.since) where.add("d.first_seen >= ?::timestamptz", *filter.since);
    return where;
}

/// Per origin first, from the index alone: there may be a million letters.
constexpr const char* kSums =
    "WITH by_origin AS MATERIALIZED ("
    "  SELECT origin, count(*) FILTER (WHERE state = 'open') AS open,"
    "   count(*) FILTER (WHERE state = 'parked') AS parked,"
    "   sum(payload_bytes)::int8 AS bytes, min(id) AS first"
    "  FROM homeward.dead_letter WHERE state IN ('open', 'parked') GROUP BY origin),"
    " source AS (SELECT o.region, o.app, sum(s.open)::int8 AS open, sum(s.parked)::int8 AS parked,"
    "  sum(s.bytes)::int8 AS bytes, min(s.first) AS first"
    "  FROM by_origin s JOIN homeward.known_origin o ON o.id = s.origin GROUP BY 1, 2)";

constexpr std::size_t kDiscardLettersMax = 10'000;

}  // namespace

bool LetterFilter::is_narrow() const {
    return !ids.empty() || type || region || app || sqlstate || reason || since;
}

std::vector<DeadLetter> read_letters(PgConnection& leader, const LetterFilter& filter,
                                     std::int64_t letters_max, bool with_payload) {
    const QueryConditions where = conditions_of(filter);
    const QueryResult rows = leader.query(
        std::string("SELECT d.id, d.state, o.class, o.region, o.app, o.publisher, d.seq, d.type,"
                    " d.reason, d.sqlstate, d.times_seen, d.message_time, d.first_seen,"
                    " d.last_seen, d.payload_bytes, ") +
            (with_payload ? "d.payload, coalesce(d.headers::text, '')" : "'', ''") + kFrom +
            where.sql() + " ORDER BY d.id" +
            (letters_max > 0 ? " LIMIT " + std::to_string(letters_max) : ""),
        where.parameters());
    std::vector<DeadLetter> letters;
    for (int i = 0; i < rows.rows(); ++i) {
        const auto text = [&](int column) { return std::string(rows.at(i, column)); };
        DeadLetter letter;
        letter.id = rows.number(i, 0);
        letter.state = text(1);
        letter.event_class = text(2);
        letter.region = text(3);
        letter.app = text(4);
        letter.publisher = text(5);
        letter.seq = rows.number(i, 6);
        letter.type = text(7);
        letter.reason = text(8);
        letter.sqlstate = text(9);
        letter.times_seen = rows.number(i, 10);
        letter.message_time = text(11);
        letter.first_seen = text(12);
        letter.last_seen = text(13);
        letter.payload_bytes = rows.number(i, 14);
        if (with_payload) letter.payload = bytes_of_bytea(rows.at(i, 15));
        letter.headers = text(16);
        letters.push_back(std::move(letter));
    }
    return letters;
}

std::vector<LetterSource> read_letter_sources(PgConnection& leader) {
    const QueryResult rows = leader.query(
        std::string(kSums) +
        " SELECT s.region, s.app, s.open, s.parked, s.bytes, d.first_seen, d.reason,"
        " substr(d.payload, 1, 200) FROM source s JOIN homeward.dead_letter d ON d.id = s.first"
        " ORDER BY s.open + s.parked DESC, 1, 2");
    std::vector<LetterSource> sources;
    for (int i = 0; i < rows.rows(); ++i) {
        const auto text = [&](int column) { return std::string(rows.at(i, column)); };
        sources.push_back({text(0), text(1), rows.number(i, 2), rows.number(i, 3),
                           rows.number(i, 4), text(5), text(6), bytes_of_bytea(rows.at(i, 7))});
    }
    return sources;
}

DeadLetterQuota::Sources letter_sums(PgConnection& leader) {
    const QueryResult rows = leader.query(
        std::string(kSums) + " SELECT region, app, open + parked, bytes, open FROM source");
    DeadLetterQuota::Sources sources;
    for (int i = 0; i < rows.rows(); ++i) {
        sources[std::string(rows.at(i, 0)) + "/" + std::string(rows.at(i, 1))] = {
            static_cast<std::uint64_t>(rows.number(i, 2)),
            static_cast<std::uint64_t>(rows.number(i, 3)),
            static_cast<std::uint64_t>(rows.number(i, 4))};
    }
    return sources;
}

std::vector<LetterRef> find_letters(PgConnection& leader, const LetterFilter& filter) {
    const QueryConditions where = conditions_of(filter);
    const QueryResult rows = leader.query(
        std::string("SELECT d.id, d.payload_bytes") + kFrom + where.sql() + " ORDER BY d.id",
        where.parameters());
    std::vector<LetterRef> letters;
    for (int i = 0; i < rows.rows(); ++i) {
        letters.push_back({rows.number(i, 0), static_cast<std::size_t>(rows.number(i, 1))});
    }
    return letters;
}

std::int64_t discard_letters(PgConnection& leader, const std::vector<LetterRef>& letters) {
    std::int64_t discarded = 0;
    for (std::size_t at = 0; at < letters.size(); at += kDiscardLettersMax) {
        std::vector<std::int64_t> ids;
        for (std::size_t i = at; i < letters.size() && i < at + kDiscardLettersMax; ++i) {
            ids.push_back(letters[i].id);
        }
        discarded +=
            leader
                .query("SELECT homeward.close_letters($1::int8[], 'discarded')", {array_text(ids)})
                .number(0, 0);
    }
    return discarded;
}

}  // namespace homeward::consumer
