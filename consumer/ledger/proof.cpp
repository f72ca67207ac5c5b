#include "consumer/ledger/proof.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

/// Up to the greatest number: a frame of seqs close to 2^63 leaves as many holes before it.
void add(std::int64_t& sum, std::int64_t value) {
    if (__builtin_add_overflow(sum, value, &sum)) sum = INT64_MAX;
}

void add(ProofRow& sum, const ProofRow& row) {
    add(sum.accepted, row.accepted);
    add(sum.committed, row.committed);
    add(sum.dead, row.dead);
    add(sum.tombstoned, row.tombstoned);
    add(sum.in_flight, row.in_flight);
    add(sum.missing, row.missing);
    add(sum.duplicated, row.duplicated);
    add(sum.erased, row.erased);
    add(sum.expired, row.expired);
}

std::string line(const ProofRow& row, const std::string& who) {
    std::array<char, 256> text;
    std::snprintf(text.data(), text.size(),
                  "%-34s %-7s %-11s %11lld %11lld %8lld %11lld %10lld %8lld %11lld\n", who.c_str(),
                  row.kind.c_str(), row.state.c_str(), static_cast<long long>(row.accepted),
                  static_cast<long long>(row.committed), static_cast<long long>(row.dead),
                  static_cast<long long>(row.tombstoned), static_cast<long long>(row.in_flight),
                  static_cast<long long>(row.missing), static_cast<long long>(row.duplicated));
    return text.data();
}

/// Of each origin; a bad night has few, and far apart.
constexpr std::size_t kRangesShown = 20;

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// "4-7, 9"
std::string ranges_text(const Ranges& ranges) {
    std::string text;
    for (std::size_t i = 0; i < std::min(ranges.size(), kRangesShown); ++i) {
        const auto [first, last] = ranges[i];
        text += (i == 0 ? "" : ", ") + std::to_string(first);
        if (last > first) text += "-" + std::to_string(last);
    }
    if (ranges.size() > kRangesShown) {
        text += " and " + std::to_string(ranges.size() - kRangesShown) + " ranges more; see --json";
    }
    return text;
}

/// "    missing seqs 4-7, 9", indented below its origin.
std::string missing_line(const ProofRow& row) {
    if (row.missing_seqs.empty()) return "";
    return "    missing seqs " + ranges_text(row.missing_seqs) + "\n";
}

/// "    missing messages of HOMEWARD_PLAIN_ams: 4-7, 9; they left it without having been written".
std::string gap_lines(const std::vector<PlainGap>& gaps) {
    std::map<std::string, Ranges> by_stream;
    for (const PlainGap& gap : gaps) {
        by_stream[gap.stream].emplace_back(gap.seq_first, gap.seq_last);
    }
    std::string text;
    for (const auto& [stream, ranges] : by_stream) {
        text += "    missing messages of " + stream + ": " + ranges_text(ranges) +
                "; they left it without having been written\n";
    }
    return text;
}

nlohmann::json json_of(const ProofRow& row) {
    return {
        {"accepted", row.accepted},     {"committed", row.committed}, {"dead_lettered", row.dead},
        {"tombstoned", row.tombstoned}, {"in_flight", row.in_flight}, {"missing", row.missing},
        {"duplicated", row.duplicated}, {"erased", row.erased},       {"expired", row.expired}};
}

/// Digits of a publisher id, without hyphens.
std::string publisher_digits(const std::string& whom) {
    std::string digits = whom;
    std::erase(digits, '-');
    return digits;
}

/// A partition may be dropped between the look for partitions and the look into it.
QueryResult query_proof(PgConnection& leader, const std::string& source,
                        const std::vector<Parameter>& parameters) {
    constexpr int kTriesMax = 5;
    for (int tries = 1;; ++tries) {
        try {
            return leader.query(
                "SELECT origin, publisher, class, region, app, state, accepted, committed,"
                " dead_lettered, tombstoned, in_flight, missing, duplicated,"
                " has_possible_duplicates,"
                " erased, expired FROM " +
                    source + " ORDER BY origin",
                parameters);
        } catch (const LeaderError& error) {
            if (error.sqlstate() != "42P01" || tries == kTriesMax) throw;
        }
    }
}

void read_plain_gaps(PgConnection& leader, Proof& proof) {
    const QueryResult gaps = leader.query(
        "SELECT stream, seq_first, seq_last FROM homeward.plain_gap ORDER BY stream, created,"
        " seq_first");
    for (int i = 0; i < gaps.rows(); ++i) {
        proof.plain_gaps.push_back(
            {std::string(gaps.at(i, 0)), gaps.number(i, 1), gaps.number(i, 2)});
        const std::int64_t messages = gaps.number(i, 2) - gaps.number(i, 1) + 1;
        add(proof.sum.accepted, messages);
        add(proof.sum.missing, messages);
    }
}

}  // namespace

void Proof::finalize() {
    add(sum.missing, sum.in_flight);
    sum.in_flight = 0;
    for (ProofRow& row : origins) {
        row.missing += row.in_flight;
        row.in_flight = 0;
    }
}

std::string Proof::to_table() const {
    std::string text =
        "origin                             class   state          accepted   committed     dead  "
        "tombstoned  in flight  missing  duplicated\n";
    for (const ProofRow& row : origins) {
        text += line(row, row.region + "/" + row.app + " " + row.publisher.substr(0, 8));
        if (row.erased > 0) text += "    erased " + std::to_string(row.erased) + "\n";
        text += missing_line(row);
    }
    return text + gap_lines(plain_gaps) + line(sum, "sum");
}

std::string Proof::to_json(const CountSummary& counts,
                           const std::vector<std::string>& differing) const {
    nlohmann::json rows = nlohmann::json::array();
    for (const ProofRow& row : origins) {
        nlohmann::json one = json_of(row);
        one["origin"] = row.origin;
        one["publisher"] = row.publisher;
        one["class"] = row.kind;
        one["region"] = row.region;
        one["app"] = row.app;
        one["state"] = row.state;
        one["possible_duplicates"] = row.possible_duplicates;
        one["missing_seqs"] = row.missing_seqs;
        rows.push_back(std::move(one));
    }
    nlohmann::json gaps = nlohmann::json::array();
    for (const PlainGap& gap : plain_gaps) {
        gaps.push_back(
            {{"stream", gap.stream}, {"seq_first", gap.seq_first}, {"seq_last", gap.seq_last}});
    }
    const nlohmann::json counted{{"days", counts.days_counted},
                                 {"rows", counts.rows_counted},
                                 {"oldest_at", counts.oldest_at},
                                 {"days_read", counts.days_read},
                                 {"differing", differing}};
    return nlohmann::json{{"origins", rows},
                          {"missing_messages", gaps},
                          {"sum", json_of(sum)},
                          {"clean", is_clean()},
                          {"counted", counted}}
        .dump(2);
}

std::string counts_text(const CountSummary& counts, const std::vector<std::string>& differing) {
    std::string text;
    for (const std::string& line : differing) text += "recount: " + line + "\n";
    if (counts.rows_counted == 0) return text;
    return text + std::to_string(counts.days_counted) + " closed days with " +
           std::to_string(counts.rows_counted) + " rows were counted, the first of them " +
           counts.oldest_age + " ago, and not read again (--recount reads them)\n";
}

std::string Proof::summary() const {
    return "proof: emitted=" + std::to_string(sum.accepted) +
           " committed=" + std::to_string(sum.committed) + " dead=" + std::to_string(sum.dead) +
           " dropped=" + std::to_string(sum.tombstoned) +
           (sum.erased > 0 ? " erased=" + std::to_string(sum.erased) : "") +
           (sum.in_flight > 0 ? " in_flight=" + std::to_string(sum.in_flight) : "") +
           " missing=" + std::to_string(sum.missing) +
           " duplicated=" + std::to_string(sum.duplicated);
}

Proof read_proof(PgConnection& leader, const std::optional<std::vector<std::int64_t>>& origins) {
    const QueryResult rows = origins ? query_proof(leader,
                                                   "pg_catalog.unnest($1::int4[]) AS o (id),"
                                                   " LATERAL homeward.origin_proof(o.id) AS p",
                                                   {array_text(*origins)})
                                     : query_proof(leader, "homeward.proof", {});
    Proof proof;
    for (int i = 0; i < rows.rows(); ++i) {
        ProofRow row;
        row.origin = rows.number(i, 0);
        row.publisher = rows.at(i, 1);
        row.kind = rows.at(i, 2);
        row.region = rows.at(i, 3);
        row.app = rows.at(i, 4);
        row.state = rows.at(i, 5);
        row.accepted = rows.number(i, 6);
        row.committed = rows.number(i, 7);
        row.dead = rows.number(i, 8);
        row.tombstoned = rows.number(i, 9);
        row.in_flight = rows.number(i, 10);
        row.missing = rows.number(i, 11);
        row.duplicated = rows.number(i, 12);
        row.possible_duplicates = rows.at(i, 13) == "t";
        row.erased = rows.number(i, 14);
        row.expired = rows.number(i, 15);
        add(proof.sum, row);
        proof.origins.push_back(std::move(row));
    }
    if (!origins) read_plain_gaps(leader, proof);
    return proof;
}

void name_missing(PgConnection& leader, Proof& proof) {
    for (ProofRow& row : proof.origins) {
        if (row.missing == 0) continue;
        const QueryResult ranges = leader.query(
            "SELECT pg_catalog.lower(r), pg_catalog.upper(r) - 1 FROM "
            "pg_catalog.unnest(homeward.missing_seqs($1)) AS r ORDER BY 1",
            {std::to_string(row.origin)});
        for (int i = 0; i < ranges.rows(); ++i) {
            row.missing_seqs.emplace_back(ranges.number(i, 0), ranges.number(i, 1));
        }
    }
}

std::vector<std::int64_t> find_origins(PgConnection& leader, const std::string& whom) {
    const QueryResult found = leader.query(
        "SELECT id FROM homeward.known_origin WHERE id::text = $1 OR length($2) >= 8"
        " AND starts_with(replace(publisher::text, '-', ''), lower($2)) ORDER BY id",
        {whom, publisher_digits(whom)});
    std::vector<std::int64_t> origins;
    for (int row = 0; row < found.rows(); ++row) origins.push_back(found.number(row, 0));
    return origins;
}

Abandonment abandon(PgConnection& leader, const std::string& whom) {
    const QueryResult found = leader.query(
        "SELECT origin, class || ' ' || region || '/' || app || ' ' || left(publisher::text, 8),"
        " holes, is_closed AND holes = 0, last_seen_at > now() - interval '3 minutes'"
        " FROM (SELECT *, greatest(accepted - homeward.seq_count(settled), 0) AS holes"
        "       FROM homeward.origin_status) AS a"
        " WHERE origin::text = $1 OR length($2) >= 8"
        " AND starts_with(replace(publisher::text, '-', ''), lower($2))"
        " ORDER BY origin",
        {whom, publisher_digits(whom)});
    Abandonment result;
    for (int row = 0; row < found.rows(); ++row) {
        const std::string who =
            "origin " + std::string(found.at(row, 0)) + " (" + std::string(found.at(row, 1)) + ")";
        if (found.at(row, 3) == "t") {
            result.lines.push_back(who + " is complete: there is nothing to give up");
        } else if (found.at(row, 4) == "t") {
            result.lines.push_back(who + " was heard of in the last 3 minutes: not abandoned");
        } else {
            leader.query("UPDATE homeward.origin SET abandoned_at = now() WHERE id = $1",
                         {found.number(row, 0)});
            result.lines.push_back(who + " is abandoned: " + std::string(found.at(row, 2)) +
                                   " events that are known of are missing");
            ++result.abandoned;
        }
    }
    const std::int64_t messages =
        leader.query("SELECT homeward.abandon_plain_gaps($1)", {whom}).number(0, 0);
    if (messages > 0) {
        result.lines.push_back(std::to_string(messages) + " missing messages of " + whom +
                               " are given up");
        ++result.abandoned;
    } else if (found.rows() == 0) {
        result.lines.push_back("no origin is \"" + whom +
                               "\", and no stream of this name misses messages");
    }
    return result;
}

}  // namespace homeward::consumer
