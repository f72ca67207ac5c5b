#include "consumer/postgres/table_names.hpp"

#include <vector>

#include "consumer/postgres/pack_layout.hpp"

namespace homeward::consumer {

TableNames::TableNames(PgConnection& leader, const std::string& event_schema)
    : event_schema_(event_schema) {
    // Whoever the schema or the database belongs to may do all of this anyway, as superusers may.
    const QueryResult others = leader.query(
        "SELECT c.relname, pg_get_userbyid(c.relowner)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND pg_get_userbyid(c.relowner) <> current_user"
        " AND NOT pg_has_role(c.relowner, n.nspowner, 'MEMBER')",
        {event_schema});
    for (int row = 0; row < others.rows(); ++row) {
        owners_.emplace(others.at(row, 0), others.at(row, 1));
    }
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

void refuse_other_schema_owner(PgConnection& leader) {
    // A superuser has every role, given or not.
    const QueryResult other = leader.query(
        "SELECT pg_get_userbyid(n.nspowner) FROM pg_namespace n"
        " JOIN pg_database d ON d.datname = current_database()"
        " JOIN pg_roles r ON r.rolname = current_user"
        " WHERE n.nspname = 'homeward' AND NOT pg_has_role(n.nspowner, d.datdba, 'MEMBER')"
        " AND pg_get_userbyid(n.nspowner) NOT IN"
        "  (current_user, 'homeward_owner', 'pg_database_owner')"
        " AND (r.rolsuper OR NOT pg_has_role(n.nspowner, 'MEMBER'))");
    if (other.rows() == 0) return;
    const std::string owner(other.at(0, 0));
    throw LeaderError("42501",
                      "schema homeward belongs to role " + owner +
                          ", which could replace what is in it; if that role is yours, connect "
                          "as it, or ALTER SCHEMA homeward OWNER TO yours; else look at what the "
                          "schema contains, and drop it",
                      "");
}

void TableNames::claim(const EventType& type, bool is_packed) {
    std::vector<std::string> tables{type.table};
    if (is_packed) tables.insert(tables.end(), {rows_table(type), packs_table(type)});
    for (const std::string& table : tables) {
        const auto [owner, is_free] = types_.try_emplace(table, type.name);
        const auto other = owners_.find(table);
        if (is_free && other != owners_.end()) {
            throw LeaderError("42804",
                              "event type \"" + type.name + "\" needs the name " + table +
                                  ", and " + event_schema_ + "." + table + " belongs to role " +
                                  other->second +
                                  "; rename or drop it, or give the type another table; to keep "
                                  "its rows, look at its triggers and take it over by ALTER TABLE "
                                  "… OWNER TO",
                              "");
        }
        if (is_free || owner->second == type.name) continue;
        throw LeaderError("42804",
                          "event types \"" + owner->second + "\" and \"" + type.name +
                              "\" both need the name " + table + "; give \"" + type.name +
                              "\" another table",
                          "");
    }
}

}  // namespace homeward::consumer
