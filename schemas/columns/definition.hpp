#pragma once

// The definitions of a frame's event types: the content of its section "types" (layout.hpp).

#include <string>
#include <string_view>
#include <vector>

#include "schemas/text/record_json.hpp"

namespace homeward::columns {

/// Whether columns can describe it: its names are within their bounds.
bool is_describable(const OwnedDescriptor& type);

/// Precondition: is_describable().
void append_definition(std::string& section, const OwnedDescriptor& type);

/// The definitions of a section, each as its bytes. False: it is damaged.
bool split_definitions(std::string_view section, std::vector<std::string_view>& definitions);

/// Of bytes from split_definitions(). Its class and hash are not set.
OwnedDescriptor read_definition(std::string_view definition);

}  // namespace homeward::columns
