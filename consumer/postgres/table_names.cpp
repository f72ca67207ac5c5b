#include "consumer/postgres/table_names.hpp"

#include <vector>

#include "consumer/postgres/pack_layout.hpp"

namespace homeward::consumer {

TableNames::TableNames(PgConnection& leader, const std::string& event_schema) {
    const bool is_there =
        leader.query("SELECT to_regclass('homeward.event_table') IS NOT NULL").at(0, 0) == "t";
    if (!is_there) return;
    const QueryResult found = leader.query(
        "SELECT table_name, name FROM homeward.event_table WHERE table_schema = $1"
        " UNION SELECT table_name, name FROM homeward.event_type WHERE table_schema = $1",
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
