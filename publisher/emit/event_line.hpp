#pragma once

#include <string>
#include <string_view>

#include "publisher/emit/command_line.hpp"

namespace homeward {

/// One line of input, looked at as far as emit_json() needs it: what else is in it, the consumer
/// judges.
struct EventLine {
    std::string type;
    std::string_view problem;  ///< why it is no event; empty: it is one
};

/// Whether nothing but space is in it; such lines are skipped.
bool is_blank(std::string_view line);

/// `type`: of every line; empty: each line says its own as "type".
EventLine read_event_line(std::string_view line, const std::string& type);

/// The class that an event of this type is emitted as.
EventClass class_of(const EmitCommand& command, const std::string& type);

}  // namespace homeward
