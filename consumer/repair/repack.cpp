#include "consumer/repair/repack.hpp"

#include "consumer/base/printed_commands.hpp"
#include "schemas/cli/usage_error.hpp"

namespace homeward::consumer {
namespace {

/// Of one transaction: 64 MiB of rows, or about 100,000 events in packs.
constexpr std::int64_t kRowBlocksMax = 8'192;
constexpr std::int64_t kPackBlocksMax = 2;

std::string listed(const PgConnection& leader, const std::vector<std::string>& columns) {
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + leader.quote(column);
    }
    return list;
}

}  // namespace

Repack::Repack(PgConnection& leader, const std::string& event_schema, const EventType& type,
               Target target)
    : leader_(leader),
      event_schema_(event_schema),
      type_(with_former_fields(leader, event_schema, type)),
      target_(target),
      packed_(leader, event_schema, type_) {
    const QueryResult found = leader.query(
        "SELECT EXISTS (SELECT FROM homeward.packed_type WHERE name = $1)", {type.name});
    if (found.at(0, 0) == "t") return;
    throw cli::UsageError("event type \"" + type.name +
                          "\" has no packs; give it \"storage\": \"packed\", and run " +
                          command::kSchemaApply);
}

std::vector<Repack::Part> Repack::parts(const std::optional<std::string>& day) {
    const std::string& table = target_ == Target::packs ? rows_table(type_) : packs_table(type_);
    const QueryResult found = leader_.query(
        "SELECT p.day, pg_catalog.format('%I.%I', p.partition_schema, p.partition_name)"
        " FROM homeward.event_partitions() AS p"
        " WHERE p.table_schema = $1 AND p.table_name = $2 AND p.day IS NOT NULL"
        " AND CASE WHEN $3 = '' THEN p.day < (now() AT TIME ZONE 'UTC')::date"
        "          ELSE p.day = nullif($3, '')::date END ORDER BY p.day",
        {event_schema_, table, day.value_or("")});
    std::vector<Part> parts;
    for (int row = 0; row < found.rows(); ++row) {
        parts.push_back({std::string(found.at(row, 0)), std::string(found.at(row, 1))});
    }
    return parts;
}

std::int64_t Repack::blocks_of(const Part& part) {
    return leader_
        .query(
            "SELECT coalesce(pg_relation_size(to_regclass($1)), 0)"
            " / current_setting('block_size')::int8",
            {part.name})
        .number(0, 0);
}

std::string Repack::unpacking(const Part& part, const std::string& blocks) const {
    const std::string columns = listed(leader_, event_columns(type_));
    return "WITH moved AS (DELETE FROM " + part.name + " r WHERE " + blocks +
           " RETURNING r.*), made AS (INSERT INTO " + leader_.quote(event_schema_) + "." +
           leader_.quote(rows_table(type_)) + " (" + columns + ") " +
           packed_.view().select_packs(event_columns(type_), "", "moved") +
           ") SELECT coalesce(sum(_events), 0) FROM moved";
}

/// One transaction. The day is counted anew, since its events are in another table from then on.
std::int64_t Repack::unpack_blocks(const Part& part, std::int64_t first, std::int64_t end) {
    const auto tid = [](std::int64_t block) { return "'(" + std::to_string(block) + ",0)'::tid"; };
    leader_.execute("BEGIN");
    leader_.query("SELECT homeward.ensure_partitions($1, $2, ARRAY[$3::date])",
                  {event_schema_, type_.table, part.day});
    const std::int64_t moved =
        leader_.query(unpacking(part, "r.ctid >= " + tid(first) + " AND r.ctid < " + tid(end)))
            .number(0, 0);
    leader_.execute("COMMIT");
    return moved;
}

std::int64_t Repack::pack_blocks(const Part& part, std::int64_t first, std::int64_t blocks) {
    return leader_
        .query("SELECT homeward.pack_rows($1, $2::date, $3, $4)",
               {type_.name, part.day, first, blocks})
        .number(0, 0);
}

void Repack::move_day(const Part& part, std::int64_t& moved) {
    const std::int64_t step = target_ == Target::packs ? kRowBlocksMax : kPackBlocksMax;
    const std::int64_t moved_before = moved;
    for (std::int64_t at = 0; at < blocks_of(part); at += step) {
        moved += target_ == Target::packs ? pack_blocks(part, at, step)
                                          : unpack_blocks(part, at, at + step);
    }
    // Gives the disk back what is at the end of the file, which is mostly all of it. Where
    // autovacuum or another has the table, it is not waited for.
    if (moved > moved_before) leader_.execute_alone("VACUUM (SKIP_LOCKED) " + part.name);
}

Repack::Result Repack::run(const std::optional<std::string>& day, const Progress& on_progress) {
    const std::vector<Part> all = parts(day);
    Result result;
    for (std::size_t i = 0; i < all.size(); ++i) {
        try {
            move_day(all[i], result.moved);
        } catch (const LeaderError& error) {
            if (leader_.is_broken()) throw;
            leader_.execute("ROLLBACK");
            result.failures.push_back(all[i].day + ": " + error.what() + " [" + error.sqlstate() +
                                      "]");
        }
        if (on_progress) on_progress(i + 1, all.size());
    }
    return result;
}

}  // namespace homeward::consumer
