// What is wrong with an event's text, in words.

#include <cstdio>

#include "schemas/text/event.hpp"
#include "schemas/text/event_text.hpp"
#include "schemas/text/json_text.hpp"
#include "schemas/text/rfc3339.hpp"

namespace homeward {
namespace {

std::string hex_byte(std::string_view text) {
    char hex[8];
    std::snprintf(
        hex, sizeof hex, "0x%02x",
        text.empty() ? 0u : static_cast<unsigned>(static_cast<unsigned char>(text.front())));
    return hex;
}

}  // namespace

std::string explain(const EventText& text) {
    const std::string what = shown_text(text.what);
    const std::string here = " (byte " + std::to_string(text.at) + ")";
    switch (text.fault) {
        case EventFault::none:
            return "";
        case EventFault::byte_order_mark:
            return "begins with a byte order mark; send UTF-8 without one";
        case EventFault::not_an_object:
            return "not a JSON object on one line";
        case EventFault::cut_short:
            return "not a JSON object on one line: it ends before its object does" + here;
        case EventFault::not_json:
            return "unexpected \"" + what + "\"" + here + " in JSON";
        case EventFault::not_a_json_number:
            return what + here +
                   " is no JSON number; send null, or the string \"NaN\", \"Infinity\" or "
                   "\"-Infinity\" for a field of type number";
        case EventFault::bad_number:
            return what + here + " is not how JSON writes a number";
        case EventFault::bad_escape:
            return "\"" + what + "\"" + here + " is no escape that JSON has";
        case EventFault::control_character:
            return "the control character " + hex_byte(text.what) + here +
                   " must be escaped in a JSON string";
        case EventFault::lone_surrogate:
            return "lone surrogate " + what + here +
                   ", which UTF-8 does not have: send both halves, or U+FFFD";
        case EventFault::not_utf8:
            return "not UTF-8: byte " + hex_byte(text.what) + here + "; is it Latin-1? Send UTF-8";
        case EventFault::nested_too_deeply:
            return "nested more than " + std::to_string(kJsonDepthMax) + " levels deep" + here;
        case EventFault::duplicate_key:
            return "duplicate key \"" + what + "\"" + here;
        case EventFault::type_not_text:
            return "\"type\" is not a string" + here;
        case EventFault::type_missing:
            return "it has no type";
        case EventFault::type_differs:
            return "it names the type \"" + what + "\", but is emitted as another";
        case EventFault::type_reserved:
            return "type \"" + what + "\": names that begin with \"homeward.\" are reserved";
        case EventFault::type_impossible:
            return "type \"" + what + "\" can never be an event type; a name is " +
                   std::string(kTypeNameRule);
        case EventFault::time_unreadable:
            return "\"time\" is " + what + here +
                   "; send RFC 3339 text, such as \"2026-11-24T10:00:00Z\", or whole microseconds "
                   "since 1970-01-01 UTC";
        case EventFault::time_unit:
            return "\"time\" " + explain_time_unit(text.time_us);
        case EventFault::time_differs:
            return "its \"time\" is not the time that it is emitted with; give one of them";
    }
    return "";
}

}  // namespace homeward
