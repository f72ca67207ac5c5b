#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "publisher/tools/emit/command_line.hpp"

namespace homeward {

/// One line of input, judged before it is emitted.
struct EventLine {
    std::string type;
    std::string problem;  ///< why it is no event, for an operator; empty: it is one
};

/// Whether nothing but space is in it; such lines are skipped.
bool is_blank(std::string_view line);

/// A line without the byte order mark that editors, Excel and PowerShell put in front of a text.
std::string_view without_byte_order_mark(std::string_view line);
/// Whether a text that begins so is UTF-16, which is never cut into lines right.
bool is_utf16(std::string_view first_line);

/// `type`: of every line; empty: each line says its own as "type".
EventLine read_event_line(std::string_view line, const std::string& type);

/// The class that an event of this type is emitted as: the type's own, if it is known here.
EventClass class_of(const EmitCommand& command, const std::string& type);

/// The fields that an event of this type must have, if it is known here. Borrowed from the command.
std::vector<std::string_view> required_of(const EmitCommand& command, const std::string& type);

}  // namespace homeward
