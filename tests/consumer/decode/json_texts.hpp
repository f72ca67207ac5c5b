#pragma once

#include <string>
#include <vector>

namespace homeward::testing {

/// What must become of a text; `either`: RFC 8259 leaves it open, and one of the two it must be.
enum class Fate { row, letter, either };

struct JsonText {
    std::string text;
    Fate fate;
};

/// Values, to stand within an event: every shape that RFC 8259 forbids, the odd ones that it
/// allows, and what it leaves to the reader.
std::vector<JsonText> json_values();

/// Whole texts, that are no event or hardly one.
std::vector<JsonText> json_documents();

}  // namespace homeward::testing
