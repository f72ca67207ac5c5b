#include "consumer/postgres/schema_drift.hpp"

#include "consumer/base/printed_commands.hpp"
#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/schema.hpp"

namespace homeward::consumer {
namespace {

struct Column {
    std::string type;  // as format_type() prints it
    bool is_not_null;
    bool is_filled;  // when nobody writes it
};

/// Whether rows or packs may have NULL in a column that we write.
bool may_be_null(const EventType& type, const std::string& column) {
    const Field* field = type.find(column);
    return field != nullptr ? !field->required : column == "extra" || column == "_seq_offsets";
}

std::map<std::string, Column> read_columns(PgConnection& leader, const std::string& table) {
    const QueryResult found = leader.query(
        "SELECT attname, format_type(atttypid, atttypmod),"
        " attnotnull, atthasdef OR attidentity <> '' OR attgenerated <> ''"
        " FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        {table});
    std::map<std::string, Column> columns;
    for (int row = 0; row < found.rows(); ++row) {
        columns[std::string(found.at(row, 0))] = {
            std::string(without_ledger_schema(found.at(row, 1))), found.at(row, 2) == "t",
            found.at(row, 3) == "t"};
    }
    return columns;
}

}  // namespace

std::map<std::string, std::string> written_columns(const EventType& type) {
    std::map<std::string, std::string> written{{"origin", "integer"},
                                               {"seq", "bigint"},
                                               {"time", "timestamp with time zone"},
                                               {"extra", "jsonb"}};
    for (const Field& field : type.fields) written[field.name] = catalog_name(field);
    return written;
}

namespace {

std::vector<std::string> find_table_drift(PgConnection& leader, const std::string& event_schema,
                                          const std::string& table, const EventType& type,
                                          const std::map<std::string, std::string>& written) {
    const std::string shown = event_schema + "." + table;
    const auto columns =
        read_columns(leader, leader.quote(event_schema) + "." + leader.quote(table));
    if (columns.empty()) return {"table " + shown + " is missing; run " + command::kSchemaApply};
    std::vector<std::string> drift;
    for (const auto& [name, wanted] : written) {
        const auto found = columns.find(name);
        if (found == columns.end()) {
            drift.push_back("column \"" + name + "\" of " + shown +
                            " is missing; if it was renamed, rename it back, else run " +
                            command::kSchemaApply);
        } else if (found->second.type != wanted) {
            drift.push_back("column \"" + name + "\" of " + shown + " is " + found->second.type +
                            ", event type \"" + type.name + "\" writes " + wanted +
                            "; ALTER TABLE … ALTER COLUMN … TYPE " + wanted);
        } else if (found->second.is_not_null && may_be_null(type, name)) {
            drift.push_back("column \"" + name + "\" of " + shown +
                            " is NOT NULL, and events of type \"" + type.name +
                            "\" need not have it; ALTER TABLE … ALTER COLUMN … DROP NOT NULL");
        }
    }
    for (const auto& [name, column] : columns) {
        if (!column.is_not_null || column.is_filled || written.count(name) == 1) continue;
        drift.push_back("column \"" + name + "\" of " + shown +
                        " is NOT NULL without a default, and event type \"" + type.name +
                        "\" does not have it; drop NOT NULL, or add a default or the field");
    }
    return drift;
}

}  // namespace

std::vector<std::string> find_schema_drift(PgConnection& leader, const std::string& event_schema,
                                           const EventType& type) {
    if (!type.is_packed) {
        return find_table_drift(leader, event_schema, type.table, type, written_columns(type));
    }
    const auto columns = pack_columns(type);
    std::vector<std::string> drift = find_table_drift(leader, event_schema, packs_table(type), type,
                                                      {columns.begin(), columns.end()});
    for (std::string& one :
         find_table_drift(leader, event_schema, rows_table(type), type, written_columns(type))) {
        drift.push_back(std::move(one));
    }
    return drift;
}

}  // namespace homeward::consumer
