#include "consumer/postgres/packed_view.hpp"

#include <algorithm>

#include "consumer/postgres/schema.hpp"
#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {
namespace {

constexpr std::size_t kIdentifierBytesMax = 63;

/// LANGUAGE sql, STABLE, neither STRICT nor SECURITY DEFINER: so the planner inlines the function,
/// and sees which partitions and packs it needs.
constexpr const char* kInlined = "\nLANGUAGE sql STABLE PARALLEL SAFE ROWS ";
/// Around a function's body: no column has it in its name.
constexpr const char* kBodyBegin = " AS $homeward$\n";
constexpr const char* kBodyEnd = "\n$homeward$";

/// When the day of a time begins, by which partitions are bounded.
std::string day_begin(const std::string& time) {
    return "pg_catalog.timezone('UTC', pg_catalog.date_trunc('day', pg_catalog.timezone('UTC', " +
           time + ")))";
}

}  // namespace

std::string PackedView::qualified(const std::string& table) const {
    return leader_.quote(event_schema_) + "." + leader_.quote(table);
}

std::string PackedView::listed(const std::vector<std::string>& columns) const {
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + leader_.quote(column);
    }
    return list;
}

std::string PackedView::select_packs(const std::vector<std::string>& columns,
                                     const std::string& filter, const std::string& from) const {
    const std::vector<Field> fields = pack_fields(type_);
    std::string values = "pg_catalog.unnest(p._times), pg_catalog.unnest(p._seq_offsets)";
    std::string names = "\"time\", _seq_offset";
    for (const Field& field : fields) {
        const std::string column = "p." + leader_.quote(field.name);
        values += pack_form(field) == PackForm::joined
                      ? ", pg_catalog.string_to_table(" + column + ", " + kPackSeparatorsSql + ")"
                      : ", pg_catalog.unnest(" + column + ")";
        names += ", " + leader_.quote(field.name);
    }
    std::string selected;
    for (const std::string& column : columns) {
        const bool is_jsonb = std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
            return field.name == column && field.column == ColumnType::jsonb;
        });
        const std::string name = leader_.quote(column);
        selected += selected.empty() ? "" : ", ";
        if (column == "origin") {
            selected += "p.origin";
        } else if (column == "seq") {
            selected += "p.seq + coalesce(e._seq_offset, e._number - 1) AS seq";
        } else {
            selected += "e." + name + (is_jsonb ? "::jsonb AS " + name : "");
        }
    }
    return "SELECT " + selected + "\nFROM " +
           (from.empty() ? qualified(packs_table(type_)) : from) +
           " p CROSS JOIN LATERAL ROWS FROM (" + values + ") WITH ORDINALITY AS e (" + names +
           ", _number)" + (filter.empty() ? "" : "\nWHERE " + filter);
}

std::string PackedView::between(const std::vector<std::string>& columns) const {
    return "CREATE OR REPLACE FUNCTION " + qualified(type_.table + "_between") +
           "(time_from timestamptz, time_to timestamptz)\nRETURNS SETOF " + qualified(type_.table) +
           kInlined + "100000" + kBodyBegin + "SELECT " + listed(columns) + " FROM " +
           qualified(rows_table(type_)) + " WHERE time >= $1 AND time < $2\nUNION ALL\n" +
           select_packs(columns, "p.time >= " + day_begin("$1") +
                                     " AND p.time < $2 AND p._time_last >= $1"
                                     " AND e.\"time\" >= $1 AND e.\"time\" < $2") +
           kBodyEnd;
}

/// Packs that may have an event with the value: each event is compared afterwards.
std::string PackedView::pack_filter(const Field& field) const {
    const std::vector<std::string> indexed = pack_indexes(type_);
    const bool has_index = std::find(indexed.begin(), indexed.end(), field.name) != indexed.end();
    const std::string column = "p." + leader_.quote(field.name);
    if (pack_form(field) != PackForm::joined) {
        return has_index ? column + " OPERATOR(pg_catalog.@>) ARRAY[$1]"
                         : "$1 = ANY (" + column + ")";
    }
    return has_index ? "homeward.joined_values(" + column + ") OPERATOR(pg_catalog.@>) ARRAY[$1]"
                     : "pg_catalog.strpos(" + column + ", $1) > 0";
}

std::string PackedView::by_field(const Field& field,
                                 const std::vector<std::string>& columns) const {
    const std::string column = leader_.quote(field.name);
    return "CREATE OR REPLACE FUNCTION " + qualified(type_.table + "_by_" + field.name) +
           "(value " + catalog_name(field) +
           ", time_from timestamptz DEFAULT '-infinity', time_to timestamptz DEFAULT 'infinity')\n"
           "RETURNS SETOF " +
           qualified(type_.table) + kInlined + "100" + kBodyBegin + "SELECT " + listed(columns) +
           " FROM " + qualified(rows_table(type_)) + " WHERE " + column +
           " = $1 AND time >= $2 AND time < $3\nUNION ALL\n" +
           select_packs(columns, pack_filter(field) + " AND p.time >= " + day_begin("$2") +
                                     " AND p.time < $3 AND p._time_last >= $2 AND e." + column +
                                     " = $1 AND e.\"time\" >= $2 AND e.\"time\" < $3") +
           kBodyEnd;
}

std::string PackedView::create(const std::vector<std::string>& columns) const {
    const std::string view = qualified(type_.table);
    std::string made =
        "CREATE OR REPLACE VIEW " + view + " AS\nSELECT " + listed(columns) + " FROM " +
        qualified(rows_table(type_)) + "\nUNION ALL\n" + select_packs(columns, "") +
        ";\nCREATE OR REPLACE TRIGGER homeward_insert_row INSTEAD OF INSERT ON " + view +
        " FOR EACH ROW EXECUTE FUNCTION homeward.insert_row('" + rows_table(type_) + "', " +
        sql_literal(listed(columns)) + ");\n" + between(columns);
    for (const Field& field : type_.fields) {
        if (has_function(field)) made += ";\n" + by_field(field, columns);
    }
    return made;
}

/// Not under a name that PostgreSQL would cut: another field's might be cut to the same.
bool PackedView::has_function(const Field& field) const {
    return is_searched(field) && type_.table.size() + 4 + field.name.size() <= kIdentifierBytesMax;
}

std::vector<std::string> PackedView::functions() const {
    std::vector<std::string> signatures{qualified(type_.table + "_between") +
                                        "(timestamptz, timestamptz)"};
    for (const Field& field : type_.fields) {
        if (!has_function(field)) continue;
        signatures.push_back(qualified(type_.table + "_by_" + field.name) + "(" +
                             catalog_name(field) + ", timestamptz, timestamptz)");
    }
    return signatures;
}

}  // namespace homeward::consumer
