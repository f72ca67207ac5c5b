#include "consumer/postgres/packed_table.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "consumer/postgres/sql_text.hpp"
#include "schemas/types/column_type.hpp"

namespace homeward::consumer {
namespace {

/// Of a pack: with an offset (integer), the seq of each of its events is within bigint. Else one
/// pack would stop the view and the proof.
constexpr const char* kPackSeqs = "seq BETWEEN 1 AND 9223372034707292159";

std::string listed(const std::vector<std::string>& items) {
    std::string list;
    for (const std::string& item : items) list += (list.empty() ? "" : ", ") + item;
    return list;
}

/// For format(): the schema's name may have such a character.
std::string escaped(std::string sql) {
    for (std::size_t at = sql.find('%'); at != std::string::npos; at = sql.find('%', at + 2)) {
        sql.insert(at, 1, '%');
    }
    return sql;
}

/// Of a column of packs_sql(); none: it is no field's.
std::optional<Field> field_of(const EventType& type, const std::string& column) {
    for (const Field& field : pack_fields(type)) {
        if (field.name == column) return field;
    }
    return std::nullopt;
}

}  // namespace

EventType with_former_fields(PgConnection& leader, const std::string& event_schema,
                             EventType type) {
    const QueryResult found = leader.query(
        "SELECT attname, CASE typcategory WHEN 'A' THEN typelem ELSE atttypid END::regtype::text,"
        " typcategory = 'A' FROM pg_attribute JOIN pg_type t ON t.oid = atttypid"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        {leader.quote(event_schema) + "." + leader.quote(type.table)});
    const std::vector<std::string> known = event_columns(type);
    for (int row = 0; row < found.rows(); ++row) {
        const std::string name(found.at(row, 0));
        const std::string_view text = found.at(row, 1);
        const auto column =
            text == "timestamp with time zone" ? ColumnType::timestamptz : parse_column_type(text);
        const bool is_array = found.at(row, 2) == "t";
        const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
        if (is_known || !column || (is_array && column == ColumnType::jsonb)) continue;
        Field& field = type.fields.emplace_back();
        field.name = name;
        field.column = *column;
        field.array = is_array;
    }
    return type;
}

std::string PackedTable::qualified(const std::string& table) const {
    return leader_.quote(event_schema_) + "." + leader_.quote(table);
}

std::vector<std::pair<std::string, std::string>> PackedTable::columns_of(
    const std::string& table) const {
    const QueryResult found = leader_.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        {qualified(table)});
    std::vector<std::pair<std::string, std::string>> columns;
    for (int row = 0; row < found.rows(); ++row) {
        columns.emplace_back(found.at(row, 0), without_ledger_schema(found.at(row, 1)));
    }
    return columns;
}

std::string PackedTable::packs_sql() const {
    const std::string table = qualified(packs_table(type_));
    const bool has_lz4 = leader_
                             .query(
                                 "SELECT 'lz4' = ANY (enumvals) FROM pg_settings"
                                 " WHERE name = 'default_toast_compression'")
                             .at(0, 0) == "t";
    std::string columns;
    std::string compression;
    for (const auto& [name, type] : pack_columns(type_)) {
        const std::optional<Field> field = field_of(type_, name);
        const bool is_optional = field || name == "_seq_offsets";
        columns += (columns.empty() ? "    " : ",\n    ") + leader_.quote(name) + " " +
                   (field ? pack_column_sql(*field) : type) + (is_optional ? "" : " NOT NULL");
        if (!has_lz4 || (!is_optional && name != "_times")) continue;
        // pglz costs the leader more than all the rest.
        compression += ";\nALTER TABLE " + table + " ALTER COLUMN " + leader_.quote(name) +
                       " SET COMPRESSION lz4";
    }
    return "CREATE TABLE " + table + " (\n" + columns + ",\n    CHECK (" + kPackSeqs +
           ")) PARTITION BY RANGE (time);\nCREATE INDEX ON " + table +
           " USING brin (time, _time_last)" + compression + ";\nCOMMENT ON TABLE " + table +
           " IS 'packs of up to 2,000 events; read the view " + type_.table + "'";
}

std::string PackedTable::index_sql(const std::string& column) const {
    const std::string name = leader_.quote(column);
    const bool is_joined = pack_form(*type_.find(column)) == PackForm::joined;
    return "CREATE INDEX ON " + qualified(packs_table(type_)) + " USING gin (" +
           (is_joined ? "homeward.joined_values(" + name + ")" : name) + ")";
}

/// What the values of a row `r` take as text, but for those that are always small.
std::string PackedTable::bytes_of_row() const {
    std::string sum = "0::int8";
    for (const Field& field : pack_fields(type_)) {
        const bool is_small =
            pack_form(field) == PackForm::array && field.column != ColumnType::numeric;
        if (is_small) continue;
        sum += " + coalesce(octet_length(r." + leader_.quote(field.name) + "::text), 0)";
    }
    return sum;
}

/// Whether a row `r` can be part of a pack.
std::string PackedTable::packable() const {
    std::string all = std::string("r.") + kPackSeqs + " AND " + bytes_of_row() +
                      " <= " + std::to_string(kPackEventBytesMax);
    for (const Field& field : type_.fields) {
        if (field.column != ColumnType::text || field.array) continue;
        const std::string column = "r." + leader_.quote(field.name);
        all += " AND coalesce(strpos(" + column + ", E'\\x1e') = 0 AND " + column +
               " <> E'\\x1d', true)";
    }
    return all;
}

std::string PackedTable::pack_statement(const std::string& source, int events_max) const {
    std::vector<std::string> columns;
    std::vector<std::string> values{"s.origin", "min(s.seq)", "min(s.\"time\")", "max(s.\"time\")",
                                    "count(*)::int4"};
    values.emplace_back(
        "CASE WHEN bool_or(s.seq <> s._seq_first + s._place - 1)"
        " THEN pg_catalog.array_agg((s.seq - s._seq_first)::int4 ORDER BY s._place) END");
    values.emplace_back("pg_catalog.array_agg(s.\"time\" ORDER BY s._place)");
    for (const auto& [name, type] : pack_columns(type_)) columns.push_back(leader_.quote(name));
    for (const Field& field : pack_fields(type_)) {
        const std::string column = "s." + leader_.quote(field.name);
        switch (pack_form(field)) {
            case PackForm::joined:
                values.push_back("CASE WHEN pg_catalog.count(" + column +
                                 ") > 0 THEN string_agg(coalesce(" + column +
                                 "::text, E'\\x1d'), E'\\x1e' ORDER BY s._place) END");
                break;
            case PackForm::array:
                values.push_back("CASE WHEN pg_catalog.count(" + column +
                                 ") > 0 THEN pg_catalog.array_agg(" + column +
                                 " ORDER BY s._place) END");
                break;
            case PackForm::list:
                values.push_back("CASE WHEN pg_catalog.count(" + column +
                                 ") > 0 THEN pg_catalog.array_agg(CASE WHEN " + column +
                                 " IS NOT NULL THEN ROW(" + column + ")::homeward." +
                                 list_type_name(field) + " END ORDER BY s._place) END");
                break;
        }
    }
    return "INSERT INTO " + qualified(packs_table(type_)) + " (" + listed(columns) + ")\nSELECT " +
           listed(values) +
           "\nFROM (SELECT c.*, min(c.seq) OVER (PARTITION BY c.origin, c._chunk, c._part)"
           " AS _seq_first, row_number() OVER (PARTITION BY c.origin, c._chunk, c._part"
           " ORDER BY c.seq) AS _place FROM"
           " (SELECT r.*, r.seq / 1000000000 * 1000000000 + row_number() OVER of_origin / " +
           std::to_string(events_max) + " AS _chunk, (sum(" + bytes_of_row() +
           ") OVER of_origin)::int8 / " + std::to_string(kPackBytesMax) + " AS _part FROM (" +
           source +
           ") AS r WINDOW of_origin AS (PARTITION BY r.origin, r.seq / 1000000000 ORDER BY r.seq)"
           ") AS c) AS s\nGROUP BY s.origin, s._chunk, s._part";
}

/// With the counts of its days, which are found by the table's name.
void PackedTable::plan_rename(std::vector<std::string>& statements) {
    const QueryResult readers = leader_.query(
        "SELECT DISTINCT pg_catalog.format('%s', w.ev_class::regclass) FROM pg_depend d"
        " JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass"
        " WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1)",
        {qualified(type_.table)});
    if (readers.rows() > 0) {
        throw LeaderError("42804",
                          "view " + std::string(readers.at(0, 0)) + " reads table " + type_.table +
                              ", and would not see packed events of type \"" + type_.name +
                              "\"; drop it, apply the schema, and create it again",
                          "");
    }
    statements.push_back("ALTER TABLE " + qualified(type_.table) + " RENAME TO " +
                         leader_.quote(rows_table(type_)));
    statements.push_back(
        "UPDATE homeward.counted_day SET table_name = " + sql_literal(rows_table(type_)) +
        " WHERE table_schema = " + sql_literal(event_schema_) +
        " AND table_name = " + sql_literal(type_.table));
}

void PackedTable::plan_packs(std::vector<std::string>& statements) {
    const auto found = columns_of(packs_table(type_));
    if (found.empty()) {
        statements.push_back(packs_sql());
        return;
    }
    const std::map<std::string, std::string> there(found.begin(), found.end());
    for (const auto& [name, type] : pack_columns(type_)) {
        const auto column = there.find(name);
        const std::optional<Field> field = field_of(type_, name);
        if (column == there.end() && field) {
            statements.push_back("ALTER TABLE " + qualified(packs_table(type_)) + " ADD COLUMN " +
                                 leader_.quote(name) + " " + pack_column_sql(*field));
        } else if (column == there.end() || column->second != type) {
            const std::string is = column == there.end() ? "is missing" : "is " + column->second;
            throw LeaderError("42804",
                              "column \"" + name + "\" of table " + packs_table(type_) + " " + is +
                                  ", event type \"" + type_.name + "\" writes " + type +
                                  "; rename that table, or give the type another",
                              "");
        }
    }
}

bool PackedTable::has_index(const std::string& column) const {
    const bool is_joined = pack_form(*type_.find(column)) == PackForm::joined;
    return leader_
               .query(
                   "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                   " JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_attribute a"
                   "  ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
                   " WHERE i.indrelid = to_regclass($1) AND m.amname = 'gin'"
                   " AND i.indnkeyatts = 1 AND i.indpred IS NULL AND CASE WHEN $3::boolean"
                   "  THEN pg_get_expr(i.indexprs, i.indrelid)"
                   "   IN (format('joined_values(%I)', $2::text),"
                   "       format('homeward.joined_values(%I)', $2::text))"
                   "  ELSE a.attname = $2::text END)",
                   {qualified(packs_table(type_)), column, is_joined ? "t" : "f"})
               .at(0, 0) == "t";
}

/// Those that are not there, in whatever name: PostgreSQL names them, as Schema::table_sql() says.
/// Returns whether any was missing: then the functions change, too.
bool PackedTable::plan_indexes(std::vector<std::string>& statements) {
    std::set<std::string> planned;
    for (const std::string& column : pack_indexes(type_)) {
        if (has_index(column) || !planned.insert(column).second) continue;
        statements.push_back(index_sql(column));
    }
    return !planned.empty();
}

/// CREATE OR REPLACE would take what another type, or the user, has under that name.
void PackedTable::refuse_other_functions() const {
    const QueryResult others = leader_.query(
        "SELECT p.oid::regprocedure FROM unnest($1::text[]) AS s (signature)"
        " JOIN pg_proc p ON p.oid = to_regprocedure(s.signature)"
        " WHERE p.prorettype <> coalesce((SELECT c.reltype FROM pg_class c"
        "  WHERE c.oid = to_regclass($2) AND c.relkind = 'v'), 0) LIMIT 1",
        {array_text(view_.functions()), qualified(type_.table)});
    if (others.rows() == 0) return;
    throw LeaderError("42804",
                      "event type \"" + type_.name + "\" is packed and needs the function " +
                          std::string(others.at(0, 0)) +
                          ", which is something else; rename it, the type's table or the field",
                      "");
}

void PackedTable::plan_view(bool is_changed, std::vector<std::string>& statements) {
    const QueryResult view = leader_.query(
        "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1)"
        " AND relkind = 'v')",
        {qualified(type_.table)});
    const bool is_there = view.at(0, 0) == "t";
    std::vector<std::string> columns;
    if (is_there) {
        for (const auto& [name, type] : columns_of(type_.table)) columns.push_back(name);
    }
    // CREATE OR REPLACE VIEW takes new columns only behind those that it has.
    for (const std::string& column : event_columns(type_)) {
        if (std::find(columns.begin(), columns.end(), column) != columns.end()) continue;
        columns.push_back(column);
        is_changed = true;
    }
    if (!is_changed) return;
    refuse_other_functions();
    statements.push_back(view_.create(columns));
}

/// For packed_type.pack_sql: rows of origins that have enough of them there go, and come as packs.
std::string PackedTable::pack_sql() const {
    constexpr int kEventsMin = 8;  // what would be a pack of fewer stays rows
    // %4: a row with a value that packs have no place for stays a row.
    const std::string these =
        "r.ctid >= %2$L::tid AND r.ctid < %3$L::tid AND (%4$s) AND " + escaped(packable());
    std::vector<std::string> columns = event_columns(type_);
    for (std::string& column : columns) column = leader_.quote(column);
    return "WITH many AS (SELECT r.origin FROM %1$s r WHERE " + these +
           " GROUP BY r.origin HAVING count(*) >= " + std::to_string(kEventsMin) +
           "), moved AS (DELETE FROM %1$s r WHERE " + these +
           " AND r.origin IN (SELECT m.origin FROM many m) RETURNING r.*), made AS (" +
           escaped(pack_statement("SELECT " + listed(columns) + " FROM moved", kPackEventsMax)) +
           ") SELECT count(*) FROM moved";
}

void PackedTable::plan_registration(std::vector<std::string>& statements) {
    const std::string sql = pack_sql();
    const QueryResult there =
        leader_.query("SELECT to_regclass('homeward.packed_type') IS NOT NULL");
    const bool is_known =
        there.at(0, 0) == "t" && leader_.query(
                                            "SELECT EXISTS (SELECT FROM homeward.packed_type"
                                            " WHERE name = $1 AND pack_sql = $2)",
                                            {type_.name, sql})
                                         .at(0, 0) == "t";
    if (is_known) return;
    statements.push_back(
        "INSERT INTO homeward.packed_type (name, rows_table, packs_table, pack_sql) VALUES ('" +
        type_.name + "', '" + rows_table(type_) + "', '" + packs_table(type_) + "', " +
        sql_literal(sql) + ") ON CONFLICT (name) DO UPDATE SET pack_sql = excluded.pack_sql");
}

std::vector<std::string> PackedTable::plan(bool is_new) {
    std::vector<std::string> statements;
    plan_packs(statements);
    const bool has_new_index = plan_indexes(statements);
    plan_view(is_new || has_new_index, statements);
    plan_registration(statements);
    return statements;
}

}  // namespace homeward::consumer
