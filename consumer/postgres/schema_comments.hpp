#pragma once

#include <cstdint>
#include <string>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

enum class Commented : std::uint8_t {
    table,
    view,
    new_view,  ///< nothing of that name has comments of the view's
};

/// COMMENT ON for an event type's relation (quoted) and its columns, from the type's descriptions,
/// where there is none: a comment of the user's own stays. Empty: nothing is missing. Throws
/// LeaderError.
std::string comment_statements(PgConnection& leader, const std::string& relation, Commented kind,
                               const EventType& type);

}  // namespace homeward::consumer
