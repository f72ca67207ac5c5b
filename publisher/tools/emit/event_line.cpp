#include "publisher/tools/emit/event_line.hpp"

#include <algorithm>

#include "schemas/text/event_text.hpp"
#include "schemas/text/json_text.hpp"

namespace homeward {

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string_view without_byte_order_mark(std::string_view line) {
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    return line.substr(0, kMark.size()) == kMark ? line.substr(kMark.size()) : line;
}

bool is_utf16(std::string_view first_line) {
    const std::string_view mark = first_line.substr(0, 2);
    return mark == "\xff\xfe" || mark == "\xfe\xff";
}

EventLine read_event_line(std::string_view line, const std::string& type) {
    EventText text = read_event_text(line);
    EventLine event{type, ""};
    if (text.fault == EventFault::none) {
        if (type.empty()) event.type = decode_json_string(text.type);
        judge_event(text, event.type, 0);
    }
    event.problem = explain(text);
    if (text.fault == EventFault::type_differs) {
        event.problem = "its type is \"" + shown_text(decode_json_string(text.type)) +
                        "\", but --type is \"" + type + "\"";
    }
    return event;
}

EventClass class_of(const EmitCommand& command, const std::string& type) {
    const auto known = command.known_types.find(type);
    if (known != command.known_types.end()) return known->second.event_class;
    const auto& metrics = command.metric_types;
    if (std::find(metrics.begin(), metrics.end(), type) != metrics.end()) return EventClass::metric;
    return command.event_class.value_or(EventClass::audit);
}

std::vector<std::string_view> required_of(const EmitCommand& command, const std::string& type) {
    const auto known = command.known_types.find(type);
    if (known == command.known_types.end()) return {};
    return {known->second.required.begin(), known->second.required.end()};
}

}  // namespace homeward
