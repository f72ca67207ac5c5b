#include "consumer/postgres/table_names.hpp"

#include <vector>

#include "consumer/postgres/pack_layout.hpp"

namespace homeward::consumer {

TableNames::TableNames(PgConnection& leader, const std::string& event_schema) {
    const bool is_there =
        leader.query("SELECT to_regclass('homeward.packed_type') IS NOT NULL").at(0, 0) == "t";
    if (!is_there) return;
    // Not from homeward.event_table, which homeward_writer may not read.
    const QueryResult found = leader.query(
        "SELECT n.table_name, e.name FROM homeward.event_type e"
        " LEFT JOIN homeward.packed_type p USING (name)"
        " CROSS JOIN LATERAL (VALUES (e.table_name), (p.rows_table), (p.packs_table))"
        "  AS n (table_name)"
        " WHERE e.table_schema = $1 AND n.table_name IS NOT NULL",
        {event_schema});
    for (int row = 0; row < found.rows(); ++row) {
        types_.emplace(found.at(row, 0), found.at(row, 1));
    }
}

void TableNames::claim(const EventType& type, bool is_packed) {
    std::vector<std::string> tables{type.table};
    if (is_packed) tables.insert(tables.end(), {rows_table(type), packs_table(type)});
    for (const std::string& table : tables) {
        const auto [owner, is_free] = types_.try_emplace(table, type.name);
        if (is_free || owner->second == type.name) continue;
        throw LeaderError("42804",
                          "event types \"" + owner->second + "\" and \"" + type.name +
                              "\" both need the name " + table + "; give \"" + type.name +
                              "\" another table",
                          "");
    }
}

}  // namespace homeward::consumer
