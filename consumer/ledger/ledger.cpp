#include "consumer/ledger/ledger.hpp"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "consumer/base/plain_text.hpp"
#include "consumer/postgres/sql_text.hpp"
#include "schemas/nats/subject.hpp"

namespace homeward::consumer::ledger {
namespace {

/// Frames as the arrays that the functions take.
struct FrameArrays {
    std::vector<std::int64_t> origins, firsts, lasts, counts, checksums;
    std::vector<bool> closings;
    std::vector<std::size_t> batch;

    explicit FrameArrays(const Batch& all) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            const MessageWork& work = all[i];
            if (work.is_skipped() || work.is_heartbeat() || work.is_plain()) continue;
            origins.push_back(work.origin);
            firsts.push_back(static_cast<std::int64_t>(work.seq_first));
            lasts.push_back(static_cast<std::int64_t>(work.seq_last()));
            counts.push_back(static_cast<std::int64_t>(work.accepted));
            closings.push_back(work.closing);
            checksums.push_back(
                static_cast<std::int32_t>(stored_checksum(work.pulled.message.data)));
            batch.push_back(i);
        }
    }
    /// Only digits, commas and braces: safe inside a statement's text.
    std::string arguments() const {
        return seqs() + ",'" + array_text(counts) + "'::int8[],'" + array_text(closings) +
               "'::boolean[],'" + array_text(checksums) + "'::int4[]";
    }
    /// The first three of these.
    std::string seqs() const {
        return "'" + array_text(origins) + "'::int4[],'" + array_text(firsts) + "'::int8[],'" +
               array_text(lasts) + "'::int8[]";
    }
};

/// COMMIT flushes the log, so the second statement names a place behind it. A place that something
/// was written to: pg_current_wal_insert_lsn() may lie behind the header of a page that is still
/// empty, which a standby does not reach until there is more to send.
constexpr const char* kCommit = "COMMIT; SELECT pg_current_wal_flush_lsn() - '0/0'";

constexpr std::size_t kTypeBytesMax = 128;
constexpr std::size_t kLettersBytesMax = 4u << 20;

/// What a dead letter keeps of its message's headers.
constexpr std::size_t kHeadersBytesMax = 16u << 10;

/// {"Name": "value"}, or a list of values where a name comes more than once; empty without headers,
/// and for frames, whose headers are ours and say nothing. Beyond the limit they are left out, and
/// "…" says how many.
std::string headers_json(const MessageWork& work) {
    if (!work.is_plain()) return "";
    nlohmann::json kept = nlohmann::json::object();
    std::size_t bytes = 0, left_out = 0;
    for (const auto& [name, value] : read_headers(work.pulled.message)) {
        if (bytes + name.size() + value.size() > kHeadersBytesMax) {
            ++left_out;
            continue;
        }
        bytes += name.size() + value.size();
        nlohmann::json& one = kept[name];
        if (one.is_null()) {
            one = value;
        } else if (one.is_string()) {
            one = {one, value};
        } else {
            one.push_back(value);
        }
    }
    if (left_out > 0) kept["…"] = std::to_string(left_out) + " more, left out";
    if (kept.empty()) return "";
    return kept.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Dead letters as the arrays that homeward.insert_dead_letters() takes.
struct DeadLetterArrays {
    std::vector<std::int64_t> origins, seqs, times_us;
    std::vector<std::string> states, types, reasons, sqlstates, payloads, headers;
    std::size_t bytes = 0;

    void add(const MessageWork& work, const DeadEvent& dead, const std::string& unit_headers) {
        origins.push_back(work.origin);
        seqs.push_back(static_cast<std::int64_t>(dead.seq));
        states.push_back(dead.parked ? "parked" : "open");
        types.push_back(tidy_text(dead.type, kTypeBytesMax));
        reasons.push_back(tidy_text(dead.reason, kReasonBytesMax));
        sqlstates.push_back(dead.sqlstate);
        payloads.push_back(bytea_text(dead.payload));
        times_us.push_back(work.pulled.message.delivery.time_us);
        headers.push_back(unit_headers);
        bytes += payloads.back().size() + unit_headers.size();
    }
    void write(PgConnection& leader) const {
        if (origins.empty()) return;
        leader.query(
            "SELECT homeward.insert_dead_letters($1::int4[], $2::int8[], $3::text[], $4::text[],"
            " $5::text[], $6::text[], $7::bytea[], $8::int8[], $9::text[])",
            {array_text(origins), array_text(seqs), array_text(states), array_text(types),
             array_text(reasons), array_text(sqlstates), array_text(payloads), array_text(times_us),
             array_text(headers)});
    }
};

std::int64_t commit(PgConnection& leader) {
    return leader.execute(kCommit).number(0, 0);
}

void write_dead(PgConnection& leader, const Batch& batch) {
    DeadLetterArrays letters;
    for (const MessageWork& work : batch) {
        if (work.is_skipped() || work.dead.empty()) continue;
        const std::string headers = headers_json(work);
        for (const DeadEvent& dead : work.dead) {
            letters.add(work, dead, headers);
            if (letters.bytes < kLettersBytesMax) continue;  // memory stays bounded
            letters.write(leader);
            letters = {};
        }
    }
    letters.write(leader);
}

void write_tombstones(PgConnection& leader, const Batch& batch) {
    std::vector<std::int64_t> origins, firsts, lasts;
    std::vector<std::string> reasons;
    for (const MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        for (const Tombstone& tombstone : work.tombstones) {
            origins.push_back(work.origin);
            firsts.push_back(static_cast<std::int64_t>(tombstone.seq_first));
            lasts.push_back(static_cast<std::int64_t>(tombstone.seq_last));
            reasons.push_back(tidy_text(tombstone.reason, kReasonBytesMax));
        }
    }
    if (origins.empty()) return;
    leader.query(
        "INSERT INTO homeward.tombstone (origin, seq_first, seq_last, reason)"
        " SELECT * FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::text[])",
        {array_text(origins), array_text(firsts), array_text(lasts), array_text(reasons)});
}

void write_marks(PgConnection& leader, const Batch& batch) {
    std::vector<std::int64_t> origins, counts, repeating;
    std::vector<bool> closings;
    for (const MessageWork& work : batch) {
        if (work.is_skipped() || !work.is_heartbeat()) continue;
        if ((work.header.flags & kFramePossibleDuplicates) != 0) repeating.push_back(work.origin);
        origins.push_back(work.origin);
        counts.push_back(static_cast<std::int64_t>(work.accepted));
        closings.push_back(work.closing);
    }
    if (origins.empty()) return;
    leader.query(
        "INSERT INTO homeward.heartbeat (origin, accepted, is_closing)"
        " SELECT * FROM unnest($1::int4[], $2::int8[], $3::boolean[])",
        {array_text(origins), array_text(counts), array_text(closings)});
    if (repeating.empty()) return;
    leader.query(
        "INSERT INTO homeward.possible_duplicate (origin) SELECT * FROM "
        "pg_catalog.unnest($1::int4[])",
        {array_text(repeating)});
}

}  // namespace

std::string_view explain(Verdict verdict) {
    switch (verdict) {
        case Verdict::fragmented:
            return "its origin has more holes than ledger.ranges_max allows";
        case Verdict::differs:
            return "its seqs are settled by a frame of other bytes: one of the two is forged, or a "
                   "spool was copied";
        default:
            return "another frame has settled a part of it";
    }
}

std::vector<Verdict> claim(PgConnection& leader, const Batch& batch) {
    std::vector<Verdict> verdicts(batch.size(), Verdict::fresh);
    const FrameArrays frames(batch);
    if (frames.batch.empty()) return verdicts;
    const QueryResult rows =
        leader.query("SELECT frame_index, verdict FROM homeward.claim(" + frames.arguments() + ")");
    for (int row = 0; row < rows.rows(); ++row) {
        const std::size_t work = frames.batch[static_cast<std::size_t>(rows.number(row, 0))];
        if (rows.at(row, 1) == "settled") verdicts[work] = Verdict::settled;
        if (rows.at(row, 1) == "overlap") verdicts[work] = Verdict::overlap;
        if (rows.at(row, 1) == "fragmented") verdicts[work] = Verdict::fragmented;
        if (rows.at(row, 1) == "differs") verdicts[work] = Verdict::differs;
    }
    return verdicts;
}

void write_rest(PgConnection& leader, const Batch& batch) {
    write_dead(leader, batch);
    write_tombstones(leader, batch);
    write_marks(leader, batch);
}

Settlement settle_and_commit(PgConnection& leader, const Batch& batch) {
    const FrameArrays frames(batch);
    if (frames.batch.empty()) return {0, commit(leader)};
    // A function in FROM has run before what stands behind SELECT is looked at.
    const auto results = leader.execute_each(
        "SELECT extract(epoch FROM clock_timestamp() - statement_timestamp())"
        " FROM homeward.settle(" +
        frames.arguments() + "); " + kCommit);
    return {std::strtod(std::string(results.front().at(0, 0)).c_str(), nullptr),
            results.back().number(0, 0)};
}

std::int64_t seal_and_commit(PgConnection& leader, const Batch& batch) {
    const FrameArrays frames(batch);
    if (frames.batch.empty()) return commit(leader);
    return leader
        .execute("SELECT FROM homeward.check_no_overlap(" + frames.seqs() + "); " + kCommit)
        .number(0, 0);
}

void quarantine(PgConnection& leader, const MessageWork& work, const std::string& reason) {
    const Message& message = work.pulled.message;
    const auto subject = parse_subject(message.subject);
    const std::string_view frame(reinterpret_cast<const char*>(message.data.data()),
                                 message.data.size());
    leader.query(
        "INSERT INTO homeward.conflict (origin, seq_first, seq_last, region, app, reason, frame,"
        " frame_sha256, message_time) VALUES ($1, $2, $3, $4, $5, $6, $7, sha256($7),"
        " 'epoch'::timestamptz + $8::int8 * interval '1 microsecond') ON CONFLICT DO NOTHING",
        {Parameter(work.origin), Parameter(static_cast<std::int64_t>(work.seq_first)),
         Parameter(static_cast<std::int64_t>(work.seq_first + work.seq_count) - 1),
         subject ? Parameter(subject->region) : Parameter("?"),
         subject ? Parameter(subject->app) : Parameter("?"), reason, Parameter::bytes(frame),
         Parameter(message.delivery.time_us)});
}

std::vector<Run> claim_rest(PgConnection& leader, const MessageWork& work) {
    const QueryResult rest =
        leader.query("SELECT seq_first, seq_last FROM homeward.claim_rest($1, $2, $3, $4, $5)",
                     {Parameter(work.origin), Parameter(static_cast<std::int64_t>(work.seq_first)),
                      Parameter(static_cast<std::int64_t>(work.seq_last())),
                      Parameter(static_cast<std::int64_t>(work.accepted)),
                      Parameter(work.closing ? "true" : "false")});
    std::vector<Run> runs;
    for (int row = 0; row < rest.rows(); ++row) {
        runs.push_back({static_cast<std::uint64_t>(rest.number(row, 0)),
                        static_cast<std::uint64_t>(rest.number(row, 1))});
    }
    return runs;
}

}  // namespace homeward::consumer::ledger
