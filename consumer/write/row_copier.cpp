#include "consumer/write/row_copier.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "consumer/base/time.hpp"
#include "consumer/decode/column_rows.hpp"
#include "consumer/decode/copy_row.hpp"
#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Range = std::pair<std::size_t, std::size_t>;

/// So many rows refused, one by one, with codes that are no data error, and none passed: it is the
/// table. With data errors every row is tried.
constexpr std::size_t kTableRefusalsMin = 64;

/// A day that was dropped is made again by the next attempt; so often, before its rows are refused.
constexpr int kPartitionMissesMax = 3;

/// Pushes what is left of a range behind its bad row, or its two halves when nobody knows which
/// row it is; returns the bad row's place, or the range's end.
std::size_t cut(const Range& range, long bad_row, std::vector<Range>& ranges) {
    const auto [begin, end] = range;
    const bool is_known = bad_row >= 0 && static_cast<std::size_t>(bad_row) < end - begin;
    if (!is_known && end - begin > 1) {
        const std::size_t middle = begin + (end - begin) / 2;
        ranges.emplace_back(middle, end);
        ranges.emplace_back(begin, middle);
        return end;
    }
    const std::size_t at = begin + (is_known ? static_cast<std::size_t>(bad_row) : 0);
    if (at + 1 < end) ranges.emplace_back(at + 1, end);
    if (at > begin) ranges.emplace_back(begin, at);
    return at;
}

/// Whether one more refused row shows that it is the table. One row that exceeds the statement
/// timeout among others that do not may be slow by itself; a second is not waited for.
bool is_table_error(const CopyOutcome& outcome, const LeaderError& error) {
    if (error.sqlstate() == kQueryCanceled) {
        return outcome.passed == 0 ||
               std::any_of(outcome.refused.begin(), outcome.refused.end(), [](const Refusal& one) {
                   return one.error.sqlstate() == kQueryCanceled;
               });
    }
    return outcome.passed == 0 && outcome.refused.size() + 1 >= kTableRefusalsMin &&
           classify(error.sqlstate(), true) != ErrorClass::data;
}

void send_row_data(PgConnection& leader, std::span<const RowPlace> places) {
    leader.copy_data(copy_header());
    // Rows of one message mostly lie behind one another: they go in one piece.
    for (std::size_t i = 0; i < places.size();) {
        const MessageWork* work = places[i].work;
        const std::uint32_t begin = work->events[places[i].event].begin;
        std::uint32_t end = begin;
        while (i < places.size() && places[i].work == work &&
               work->events[places[i].event].begin == end) {
            end = work->events[places[i].event].end;
            ++i;
        }
        leader.copy_data(std::string_view(work->rows).substr(begin, end - begin));
    }
    leader.copy_data(copy_trailer());
    leader.copy_end();
}

/// In the order in which rows have them.
std::vector<std::pair<std::string, std::string>> row_columns(const EventType& type) {
    std::vector<std::pair<std::string, std::string>> columns{
        {"origin", "integer"}, {"seq", "bigint"}, {"time", "timestamp with time zone"}};
    for (const Field& field : type.fields) columns.emplace_back(field.name, catalog_name(field));
    columns.emplace_back("extra", "jsonb");
    return columns;
}

}  // namespace

RowCopier::Places RowCopier::places_of(Batch& batch, int type) {
    Places places;
    for (MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        for (std::size_t i = 0; i < work.events.size(); ++i) {
            if (work.events[i].type == type) places.push_back({&work, i});
        }
    }
    return places;
}

std::string RowCopier::copy_statement(
    PgConnection& leader, const std::string& table,
    const std::vector<std::pair<std::string, std::string>>& columns) const {
    const std::string qualified =
        leader.quote(config_.postgres.event_schema) + "." + leader.quote(table);
    std::string list;
    std::vector<std::string> names, types;
    for (const auto& [name, type] : columns) {
        // Unquoted, since housekeepers look for "(origin, seq, time, ".
        const bool is_head = names.size() < 3;
        list += (list.empty() ? "" : ", ") + (is_head ? name : leader.quote(name));
        names.push_back(name);
        types.push_back(type);
    }
    // Identifiers and types' names: no quote that would end the text.
    return "COPY " + qualified + " (" + list + ") FROM STDIN (FORMAT binary)" +
           leader.placed("; SELECT homeward.check_columns('") + qualified + "', '" +
           array_text(names) + "', '" + array_text(types) + "')";
}

const RowCopier::Layout& RowCopier::layout(PgConnection& leader) {
    if (layout_) return *layout_;
    Layout layout;
    const QueryResult packed = leader.query("SELECT * FROM homeward.packed_types()");
    for (int row = 0; row < packed.rows(); ++row) layout.packed_types.emplace(packed.at(row, 0));
    if (packed.rows() > 0) layout.list_types = read_list_types(leader);
    return layout_.emplace(std::move(layout));
}

/// The table of a type's rows.
std::string RowCopier::row_table(PgConnection& leader, const EventType& type) {
    return layout(leader).packed_types.count(type.name) == 1 ? rows_table(type) : type.table;
}

TableDays RowCopier::missing_days(const Batch& batch) const {
    TableDays days;
    const EventType* last_type = nullptr;
    std::int64_t last_day = 0;
    for (const MessageWork& work : batch) {
        if (work.is_skipped()) continue;
        for (const EventRow& event : work.events) {
            const EventType& type = catalog_.types()[static_cast<std::size_t>(event.type)];
            const std::int64_t day = day_of(event.time_us);
            if (&type == last_type && day == last_day) continue;
            last_type = &type;
            last_day = day;
            if (type.partitioning == Partitioning::none || partitions_.is_known(type, day)) {
                continue;
            }
            days[type.table].insert(day);
        }
    }
    return days;
}

void RowCopier::make_room(PgConnection& leader, const Batch& batch) {
    partitions_.ensure(leader, missing_days(batch));
}

void RowCopier::send_rows(PgConnection& leader, const EventType& type,
                          std::span<const RowPlace> places) {
    leader.copy_begin(copy_statement(leader, row_table(leader, type), row_columns(type)));
    send_row_data(leader, places);
}

/// And what cannot be packed, as rows.
void RowCopier::send_packs(PgConnection& leader, const EventType& type,
                           std::span<const RowPlace> places) {
    packs_ = copy_header();
    const std::vector<RowPlace> rows =
        PackEncoder(type, layout(leader).list_types).encode(places, packs_);
    if (packs_.size() > copy_header().size()) {
        leader.copy_begin(copy_statement(leader, packs_table(type), pack_columns(type)));
        packs_ += copy_trailer();
        leader.copy_data(packs_);
        leader.copy_end();
    }
    if (!rows.empty()) send_rows(leader, type, rows);
}

void RowCopier::send(PgConnection& leader, int type, std::span<const RowPlace> places) {
    const EventType& event_type = catalog_.types()[static_cast<std::size_t>(type)];
    const auto started = SteadyClock::now();
    try {
        if (event_type.is_packed) {
            send_packs(leader, event_type, places);
        } else {
            send_rows(leader, event_type, places);
        }
    } catch (const LeaderError& error) {
        if (error.sqlstate() == kQueryCanceled) timed_out(type, places.size());
        throw;
    }
    if (!piece_rows_.empty()) went_well(type, SteadyClock::now() - started);
}

std::size_t RowCopier::piece_rows(int type) const {
    const auto found = piece_rows_.find(type);
    return found == piece_rows_.end() ? SIZE_MAX : found->second;
}

void RowCopier::timed_out(int type, std::size_t rows) {
    piece_rows_[type] = std::max<std::size_t>(std::min(rows, piece_rows(type)) / 2, 1);
}

/// Grows again while a COPY takes less than an eighth of the timeout, as with a trigger that was
/// slow only for a while.
void RowCopier::went_well(int type, SteadyClock::duration took) {
    const auto piece = piece_rows_.find(type);
    if (piece == piece_rows_.end()) return;
    const std::chrono::milliseconds timeout(config_.postgres.statement_timeout_ms);
    if (took > timeout / 8) return;
    piece->second *= 2;
    if (piece->second >= config_.batch.rows_max) piece_rows_.erase(piece);
}

void RowCopier::copy(PgConnection& leader, Batch& batch) {
    for (std::size_t index = 0; index < catalog_.types().size(); ++index) {
        const int type = static_cast<int>(index);
        const Places places = places_of(batch, type);
        for (std::size_t at = 0; at < places.size();) {
            const std::size_t count = std::min(piece_rows(type), places.size() - at);
            send(leader, type, std::span(places).subspan(at, count));
            at += count;
        }
    }
}

void RowCopier::isolate_bad_rows(PgConnection& leader, const Places& places,
                                 std::size_t refused_max, CopyOutcome& outcome) {
    std::vector<Range> ranges{{0, places.size()}};
    std::size_t piece = places.size();  // halved by each refusal, doubled by each success
    while (!ranges.empty()) {
        Range range = ranges.back();
        ranges.pop_back();
        const std::size_t rows =
            std::min({piece_rows(outcome.type), piece, range.second - range.first});
        if (range.first + rows < range.second)
            ranges.emplace_back(range.first + rows, range.second);
        range.second = range.first + rows;
        leader.execute("SAVEPOINT rows");
        try {
            send(leader, outcome.type, std::span(places).subspan(range.first, rows));
            leader.execute("RELEASE SAVEPOINT rows");
            outcome.passed += rows;
            piece = std::min(piece * 2, places.size());
        } catch (const LeaderError& error) {
            const bool is_timeout = error.sqlstate() == kQueryCanceled;
            if (leader.is_broken() || (is_transient(error.sqlstate()) && !is_timeout)) throw;
            if (error.lacks_partition() && ++partition_misses_ <= kPartitionMissesMax) throw;
            leader.execute("ROLLBACK TO SAVEPOINT rows; RELEASE SAVEPOINT rows");
            // Of a pack, nobody knows which of its events it is.
            const EventType& type = catalog_.types()[static_cast<std::size_t>(outcome.type)];
            const long bad_row = is_timeout || type.is_packed
                                     ? -1
                                     : copy_row_of(error.context(), row_table(leader, type));
            const std::size_t at = error.is_of_statement() ? 0 : cut(range, bad_row, ranges);
            piece = std::max<std::size_t>(rows / 2, 1);
            if (at == range.second) continue;
            if (error.is_of_statement() || is_table_error(outcome, error)) {
                outcome.table_error = error;
                return;
            }
            if (outcome.refused.size() == refused_max) {
                outcome.is_cut_short = true;
                return;
            }
            outcome.refused.push_back({places[at], error});
        }
    }
}

void RowCopier::make_dead(const Refusal& refusal, Payloads& payloads) {
    MessageWork& work = *refusal.place.work;
    const auto event = work.events.begin() + static_cast<std::ptrdiff_t>(refusal.place.event);
    const EventType& type = catalog_.types()[static_cast<std::size_t>(event->type)];
    work.dead.push_back({event->seq, false, type.name, refusal.error.what(),
                         refusal.error.sqlstate(), payloads.of(work, *event)});
    work.events.erase(event);
}

std::vector<CopyOutcome> RowCopier::isolate_bad_rows(PgConnection& leader, Batch& batch,
                                                     std::size_t refused_max) {
    std::vector<CopyOutcome> outcomes;
    for (std::size_t index = 0; index < catalog_.types().size(); ++index) {
        const int type = static_cast<int>(index);
        const Places places = places_of(batch, type);
        if (places.empty()) continue;
        CopyOutcome outcome{type, 0, {}, std::nullopt};
        isolate_bad_rows(leader, places, refused_max, outcome);
        refused_max -= outcome.refused.size();
        outcomes.push_back(std::move(outcome));
        if (outcomes.back().is_cut_short) break;
    }
    partition_misses_ = 0;
    return outcomes;
}

void RowCopier::copy_or_bury(PgConnection& leader, Batch& batch) {
    std::vector<Refusal> refused;
    for (CopyOutcome& outcome : isolate_bad_rows(leader, batch, SIZE_MAX)) {
        if (outcome.table_error) throw LeaderError(*outcome.table_error);
        for (Refusal& refusal : outcome.refused) refused.push_back(std::move(refusal));
    }
    add_dead_letters(std::move(refused));
}

void RowCopier::add_dead_letters(std::vector<Refusal> refused) {
    // From the back: erasing moves what follows.
    std::sort(refused.begin(), refused.end(), [](const Refusal& a, const Refusal& b) {
        return std::pair(a.place.work, a.place.event) > std::pair(b.place.work, b.place.event);
    });
    Payloads payloads;
    for (const Refusal& refusal : refused) make_dead(refusal, payloads);
}

}  // namespace homeward::consumer
