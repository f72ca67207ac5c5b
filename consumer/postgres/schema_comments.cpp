#include "consumer/postgres/schema_comments.hpp"

#include <map>

#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {

std::string comment_statements(PgConnection& leader, const std::string& relation, Commented kind,
                               const EventType& type) {
    std::map<std::string, std::string> wanted{
        {"", type.description.empty() ? "events of type " + type.name : type.description},
        {"origin", "who sent it: homeward.event_origin.id has region, app and publisher"},
        {"seq", "its number in its origin, from 1; with origin the identity of an event"},
        {"time", "when it was emitted"},
        {"extra", "what the event had and its type does not name"}};
    for (const Field& field : type.fields) {
        if (!field.description.empty()) wanted[field.name] = field.description;
    }
    if (kind != Commented::new_view) {
        const QueryResult found = leader.query(
            "SELECT a.attname FROM pg_description d"
            " LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid"
            " WHERE d.objoid = to_regclass($1) AND d.classoid = 'pg_class'::regclass",
            {relation});
        for (int row = 0; row < found.rows(); ++row) {
            wanted.erase(found.is_null(row, 0) ? "" : std::string(found.at(row, 0)));
        }
    }
    // One statement, as one look at the catalog is enough for all of them.
    std::string all;
    for (const auto& [column, text] : wanted) {
        const std::string target = column.empty()
                                       ? (kind == Commented::table ? "TABLE " : "VIEW ") + relation
                                       : "COLUMN " + relation + "." + leader.quote(column);
        all +=
            (all.empty() ? "COMMENT ON " : ";\nCOMMENT ON ") + target + " IS " + sql_literal(text);
    }
    return all;
}

}  // namespace homeward::consumer
