#pragma once

#include <string>
#include <vector>

#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

/// An event type with a field of every column, and lists; its table is NAME_table. `storage`: rows
/// or packed. `more_fields` begins with a comma; `indexes`: the elements of that list.
std::string measure_type(const std::string& name, const std::string& storage,
                         const std::string& more_fields = "", const std::string& indexes = "");
/// Into the types_dir of the bridge's consumers.
void write_type(Bridge& bridge, const std::string& name, const std::string& text);
/// The fields of so many events, without type and time. Every fifth has a value that packs treat
/// apart, of 17 kinds in turn; the others have notes "note 0" to "note 6".
std::vector<std::string> fields_of_events(int count);
std::vector<std::string> lines_of(const std::string& type, const std::vector<std::string>& events,
                                  const std::string& time = "");
std::string count_sql(const std::string& table);

}  // namespace homeward::testing
