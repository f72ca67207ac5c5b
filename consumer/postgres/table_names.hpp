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

    /// Throws LeaderError (42804) if a name that the type needs is another's: another type's, or
    /// for a new type a table of another login, which could have triggers or be dropped any time.
    void claim(const EventType& type, bool is_packed);

  private:
    std::string event_schema_;
    std::map<std::string, std::string> types_;   // by table
    std::map<std::string, std::string> owners_;  // other logins', by table
};

/// Throws LeaderError (42501) if the ledger's schema is there and belongs to another login, which
/// could have made it first, to replace what is in it or to read along. Trusted: the database's
/// owner, superusers, homeward_owner (deploy/roles.sql), and roles that this login was granted.
void refuse_other_schema_owner(PgConnection& leader);

}  // namespace homeward::consumer
