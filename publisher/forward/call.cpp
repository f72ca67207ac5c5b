#include <homeward/forward/call.hpp>

#include <algorithm>
#include <array>

namespace homeward::forward {
namespace {

constexpr std::array<std::string_view, kOutcomes> kNames{
    "ok",      "failed",      "abandoned",     "refused",   "busy",
    "expired", "unavailable", "no_responders", "not_found", "in_doubt"};

bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

}  // namespace

std::string_view name_of(Outcome outcome) {
    return kNames[static_cast<std::size_t>(outcome)];
}

bool is_valid_operation(std::string_view operation) {
    if (operation.empty() || operation.size() > kOperationBytesMax) return false;
    if (operation.front() == '_' || operation.front() == '-') return false;
    char before = '.';
    for (const char c : operation) {
        if (c == '.' ? before == '.' : !is_word_char(c)) return false;
        before = c;
    }
    return before != '.';
}

bool is_valid_key(std::string_view key) {
    return !key.empty() && key.size() <= kKeyBytesMax &&
           std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace homeward::forward
