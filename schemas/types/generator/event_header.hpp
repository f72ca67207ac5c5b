#pragma once

#include <string>

#include "schemas/types/event_type.hpp"

namespace homeward {

/// The C++ header of one event type: a struct whose members are the type's fields, and which can
/// write itself as a lane record (see homeward/record.hpp).
std::string generate_event_header(const EventType& type, const std::string& source_name);

/// "order_view" → "OrderView"
std::string struct_name(const std::string& type_name);

}  // namespace homeward
