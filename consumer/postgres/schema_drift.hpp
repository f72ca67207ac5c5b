#pragma once

#include <map>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Every column that a row of the type brings, with its type as format_type() prints it.
std::map<std::string, std::string> written_columns(const EventType& type);

/// What makes a type's table refuse every row of the type, one sentence each: the table or a column
/// is missing, a column has another type than the rows bring, or a column without a default that
/// no row brings is NOT NULL. Somebody else's ALTER TABLE does that. Empty: the table fits. Reads
/// the catalog only, inside the transaction at hand if there is one. Throws LeaderError.
std::vector<std::string> find_schema_drift(PgConnection& leader, const std::string& event_schema,
                                           const EventType& type);

}  // namespace homeward::consumer
