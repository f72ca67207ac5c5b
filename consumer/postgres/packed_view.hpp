#pragma once

#include <string>
#include <vector>

#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// What stands on the tables of a packed type, in SQL: the view with the name of the type's table,
/// and functions that choose packs before they unpack them. A condition on the view's time cannot
/// reach the packs, since no rule of PostgreSQL says that a pack's time follows from its events'.
class PackedView {
  public:
    PackedView(const PgConnection& leader, const std::string& event_schema, const EventType& type)
        : leader_(leader), event_schema_(event_schema), type_(type) {}

    /// The view, its trigger for INSERT, and TABLE_between() and TABLE_by_FIELD(). `columns`: of
    /// the view, in their order.
    std::string create(const std::vector<std::string>& columns) const;
    /// The functions' names with the types of their arguments.
    std::vector<std::string> functions() const;
    /// SELECT of the columns of events `e` from packs `p`. `filter`: of both; empty: none. `from`:
    /// what gives packs; empty: the table.
    std::string select_packs(const std::vector<std::string>& columns, const std::string& filter,
                             const std::string& from = "") const;

  private:
    std::string qualified(const std::string& table) const;
    std::string listed(const std::vector<std::string>& columns) const;
    std::string between(const std::vector<std::string>& columns) const;
    std::string by_field(const Field& field, const std::vector<std::string>& columns) const;
    std::string pack_filter(const Field& field) const;
    bool has_function(const Field& field) const;

    const PgConnection& leader_;
    const std::string& event_schema_;
    const EventType& type_;
};

}  // namespace homeward::consumer
