#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "consumer/decode/pack_form.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// Of a list, the type of the array's elements, in the schema homeward.
std::string list_type_name(const Field& field);

/// kPackSeparator and kPackNull for string_to_table(): its last two arguments.
inline constexpr const char* kPackSeparatorsSql = "E'\\x1e', E'\\x1d'";

std::string rows_table(const EventType& type);
std::string packs_table(const EventType& type);

/// The fields of a type as packs have them, extra included.
std::vector<Field> pack_fields(const EventType& type);
/// The column's type in the table of packs, in a session with the schema homeward in its search
/// path (as format_type() prints it there), or with any.
std::string pack_column_type(const Field& field);
std::string pack_column_sql(const Field& field);
/// What format_type() prints in any session, as it prints it in one with that search path.
std::string_view without_ledger_schema(std::string_view type);

/// The columns of a pack in the order of its table, with their types as pack_column_type():
///   origin, seq (of its first event), time and _time_last (of its earliest and latest event, both
///   of one day), _events, _seq_offsets (from seq; NULL: 0, 1, 2 …), _times, the fields, extra.
/// No field's name begins with an underscore.
std::vector<std::pair<std::string, std::string>> pack_columns(const EventType& type);

/// The columns of a row of the type: origin, seq, time, the fields, extra.
std::vector<std::string> event_columns(const EventType& type);

/// Whether TABLE_by_FIELD() looks for values of the field: those that are compared by equality.
bool is_searched(const Field& field);
/// Fields whose values in packs have a GIN index: of each B-tree index of one searched column.
std::vector<std::string> pack_indexes(const EventType& type);

}  // namespace homeward::consumer
