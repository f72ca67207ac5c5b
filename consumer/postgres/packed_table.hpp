#pragma once

#include <string>
#include <utility>
#include <vector>

#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/packed_view.hpp"
#include "consumer/postgres/pg_connection.hpp"

namespace homeward::consumer {

/// The type with what its table or view has besides, of types that packs hold: fields that the type
/// once had, and columns of the user's. Throws LeaderError.
EventType with_former_fields(PgConnection& leader, const std::string& event_schema, EventType type);

/// The table of packs of a packed type, and the view on it and on the type's table of rows.
class PackedTable {
  public:
    PackedTable(PgConnection& leader, const std::string& event_schema, const EventType& type)
        : leader_(leader),
          event_schema_(event_schema),
          type_(type),
          view_(leader, event_schema, type) {}

    /// The statements that make what is missing beside the table of rows. `is_new`: the view and
    /// all that stands on it are made in any case. Throws LeaderError (42804) if a column of the
    /// packs has another type, or is no field's, or if a function is something else's.
    std::vector<std::string> plan(bool is_new);
    /// The type's own table becomes its table of rows. Throws LeaderError (42804) if a view reads
    /// it, since that would go on reading only rows.
    void plan_rename(std::vector<std::string>& statements);

    /// INSERT of what `source` selects, with the columns of rows, as packs of up to `events_max`
    /// and some kPackBytesMax.
    std::string pack_statement(const std::string& source, int events_max) const;
    const PackedView& view() const { return view_; }

  private:
    std::string bytes_of_row() const;
    std::string packable() const;
    std::string pack_sql() const;
    void plan_registration(std::vector<std::string>& statements);
    std::string qualified(const std::string& table) const;
    std::string packs_sql() const;
    std::string index_sql(const std::string& column) const;
    void plan_packs(std::vector<std::string>& statements);
    bool has_index(const std::string& column) const;
    bool plan_indexes(std::vector<std::string>& statements);
    void refuse_other_functions() const;
    void plan_view(bool is_changed, std::vector<std::string>& statements);
    std::vector<std::pair<std::string, std::string>> columns_of(const std::string& table) const;

    PgConnection& leader_;
    const std::string& event_schema_;
    const EventType& type_;
    PackedView view_;
};

}  // namespace homeward::consumer
