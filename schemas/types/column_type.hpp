#pragma once

#include <optional>
#include <string_view>

#include "schemas/types/event_type.hpp"

namespace homeward {

/// From the SQL spelling, as sql_name() gives it.
std::optional<ColumnType> parse_column_type(std::string_view name);
ColumnType default_column(FieldKind kind);
/// Whether every value of the kind has a place in the column, range aside.
bool can_store(FieldKind kind, ColumnType column);

}  // namespace homeward
