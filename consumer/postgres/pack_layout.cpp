#include "consumer/postgres/pack_layout.hpp"

#include <algorithm>

#include "consumer/postgres/schema.hpp"

namespace homeward::consumer {

std::string list_type_name(const Field& field) {
    if (field.column == ColumnType::timestamptz) return "timestamptz_list";
    std::string name(sql_name(field.column));
    std::replace(name.begin(), name.end(), ' ', '_');
    return name + "_list";
}

std::string rows_table(const EventType& type) {
    return type.table + "_rows";
}
std::string packs_table(const EventType& type) {
    return type.table + "_packs";
}

std::vector<Field> pack_fields(const EventType& type) {
    std::vector<Field> fields = type.fields;
    Field& extra = fields.emplace_back();
    extra.name = "extra";
    extra.kind = FieldKind::json;
    extra.column = ColumnType::jsonb;
    return fields;
}

std::string pack_column_type(const Field& field) {
    switch (pack_form(field)) {
        case PackForm::joined:
            return "text";
        case PackForm::array:
            return catalog_name(field) + "[]";
        case PackForm::list:
            return list_type_name(field) + "[]";
    }
    return {};
}

std::string pack_column_sql(const Field& field) {
    return (pack_form(field) == PackForm::list ? "homeward." : "") + pack_column_type(field);
}

std::string_view without_ledger_schema(std::string_view type) {
    constexpr std::string_view kPrefix = "homeward.";
    return type.substr(0, kPrefix.size()) == kPrefix ? type.substr(kPrefix.size()) : type;
}

std::vector<std::pair<std::string, std::string>> pack_columns(const EventType& type) {
    std::vector<std::pair<std::string, std::string>> columns{
        {"origin", "integer"},
        {"seq", "bigint"},
        {"time", "timestamp with time zone"},
        {"_time_last", "timestamp with time zone"},
        {"_events", "integer"},
        {"_seq_offsets", "integer[]"},
        {"_times", "timestamp with time zone[]"}};
    for (const Field& field : pack_fields(type)) {
        columns.emplace_back(field.name, pack_column_type(field));
    }
    return columns;
}

std::vector<std::string> event_columns(const EventType& type) {
    std::vector<std::string> columns{"origin", "seq", "time"};
    for (const Field& field : pack_fields(type)) columns.push_back(field.name);
    return columns;
}

bool is_searched(const Field& field) {
    switch (field.column) {
        case ColumnType::jsonb:
        case ColumnType::float4:
        case ColumnType::float8:
        case ColumnType::boolean:
            return false;
        default:
            return !field.array;
    }
}

std::vector<std::string> pack_indexes(const EventType& type) {
    std::vector<std::string> columns;
    for (const Index& index : type.indexes) {
        const Field* field = index.columns.size() == 1 ? type.find(index.columns[0]) : nullptr;
        if (index.method != "btree" || field == nullptr || !is_searched(*field)) continue;
        columns.push_back(field->name);
    }
    return columns;
}

}  // namespace homeward::consumer
