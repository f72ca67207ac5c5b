#include "publisher/metrics/series.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "schemas/text/json_text.hpp"

namespace homeward {
namespace {

constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kUnitBytesMax = 63;
constexpr std::size_t kAttributesMax = 64;
constexpr std::size_t kKeyBytesMax = 255;
constexpr std::size_t kValueBytesMax = 1024;
/// So that a point fits into the smallest lane.
constexpr std::size_t kJsonBytesMax = 8192;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_name_character(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') ||
           std::string_view("_.-/").find(c) != std::string_view::npos;
}

/// What is wrong may be long, or no text at all.
std::string quoted(std::string_view text) {
    constexpr std::size_t kShownMax = 80;
    std::string shown = "\"";
    for (const char c : text.substr(0, kShownMax)) shown += c >= ' ' && c <= '~' ? c : '?';
    return shown + (text.size() > kShownMax ? "…\"" : "\"");
}

[[noreturn]] void refuse(const std::string& what) {
    throw std::invalid_argument("metrics: " + what);
}

}  // namespace

void check_instrument_name(std::string_view name) {
    if (!name.empty() && is_letter(name.front()) && name.size() <= kNameBytesMax &&
        std::all_of(name.begin(), name.end(), is_name_character)) {
        return;
    }
    refuse("instrument name " + quoted(name) +
           " must begin with a letter and have at most 255 letters, digits, '_', '.', '-' and '/'; "
           "for example \"http.server.requests\"");
}

void check_unit(std::string_view name, std::string_view unit) {
    const auto is_ascii = [](char c) { return c > ' ' && c <= '~'; };
    if (unit.size() <= kUnitBytesMax && std::all_of(unit.begin(), unit.end(), is_ascii)) return;
    refuse("unit " + quoted(unit) + " of " + quoted(name) +
           " must have at most 63 printable ASCII characters without spaces; for example \"s\", "
           "\"By\" or \"{request}\"");
}

std::string attributes_json(std::string_view name, const Attributes& attributes) {
    std::vector<Attribute> sorted(attributes.list().begin(), attributes.list().end());
    if (sorted.size() > kAttributesMax) {
        refuse(quoted(name) + " has " + std::to_string(sorted.size()) +
               " attributes; at most 64 are allowed");
    }
    std::sort(sorted.begin(), sorted.end(),
              [](const Attribute& a, const Attribute& b) { return a.key < b.key; });
    std::string json = "{";
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        const auto& [key, value] = sorted[i];
        if (key.empty() || key.size() > kKeyBytesMax) {
            refuse("attribute key " + quoted(key) + " of " + quoted(name) +
                   " must have 1 to 255 bytes");
        }
        if (i > 0 && sorted[i - 1].key == key) {
            refuse("duplicate attribute key " + quoted(key) + " of " + quoted(name));
        }
        if (value.size() > kValueBytesMax) {
            refuse("value of attribute " + quoted(key) + " of " + quoted(name) + " has " +
                   std::to_string(value.size()) + " bytes; at most 1024 are allowed");
        }
        if (i > 0) json += ',';
        append_json_string(json, key);
        json += ':';
        append_json_string(json, value);
    }
    json += '}';
    if (json.size() > kJsonBytesMax) {
        refuse("attributes of " + quoted(name) + " have " + std::to_string(json.size()) +
               " bytes as JSON; at most 8192 are allowed");
    }
    return json;
}

std::string lowercase(std::string_view name) {
    std::string result(name);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

}  // namespace homeward
