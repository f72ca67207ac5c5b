#pragma once

#include <map>
#include <string>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Whose the tables and views of a schema are: a packed type has two tables under names that
/// another type may have chosen for its own.
class TableNames {
  public:
    /// Reads the names of the types that the leader knows. Throws LeaderError.
    TableNames(PgConnection& leader, const std::string& event_schema);

    /// Throws LeaderError (42804) if a name that the type needs is another's.
    void claim(const EventType& type, bool is_packed);

  private:
    std::map<std::string, std::string> types_;  // by table
};

}  // namespace homeward::consumer
