#include "consumer/decode/number_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "consumer/decode/column_value.hpp"

namespace homeward::consumer {
namespace {

bool take_digits(std::string_view& text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(end);
    return end > 0;
}

bool take_any_of(std::string_view& text, std::string_view wanted) {
    if (text.empty() || wanted.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

template <typename Number>
std::optional<Number> nearest(std::string_view text) {
    Number number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc{} || !std::isfinite(number)) return std::nullopt;
    const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
    const bool is_zero = mantissa.find_first_of("123456789") == std::string_view::npos;
    if (number == 0 && !is_zero) return std::nullopt;
    return number;
}

bool is_large(std::string_view number) {
    if (!is_whole_number(number)) {
        const auto value = nearest<double>(number);
        return !value && number.find_first_of("123456789") != std::string_view::npos;
    }
    constexpr std::size_t kSurelyFits = 18;
    if (number.size() <= kSurelyFits) return false;
    std::int64_t signed_value = 0;
    std::uint64_t value = 0;
    const char* end = number.data() + number.size();
    return std::from_chars(number.data(), end, signed_value).ec != std::errc{} &&
           std::from_chars(number.data(), end, value).ec != std::errc{};
}

/// Calls `each(begin, end)` for every number of a JSON text until it returns false.
template <typename Each>
void for_each_number(std::string_view json, Each each) {
    constexpr std::string_view kNumberEnd = ",}] \t\r\n";
    for (std::size_t at = 0; at < json.size();) {
        if (json[at] == '"') {
            for (++at; at < json.size() && json[at] != '"'; ++at) at += json[at] == '\\' ? 1 : 0;
            ++at;
        } else if (is_number_text(json.substr(at))) {
            const std::size_t end = std::min(json.find_first_of(kNumberEnd, at), json.size());
            if (!each(at, end)) return;
            at = end;
        } else {
            ++at;
        }
    }
}

}  // namespace

bool is_json_number(std::string_view text) {
    take_any_of(text, "-");
    const bool has_whole = take_any_of(text, "0") || take_digits(text);
    if (!has_whole) return false;
    if (take_any_of(text, ".") && !take_digits(text)) return false;
    if (take_any_of(text, "eE")) {
        take_any_of(text, "+-");
        if (!take_digits(text)) return false;
    }
    return text.empty();
}

bool is_whole_number(std::string_view text) {
    return is_number_text(text) && text.find_first_of(".eE") == std::string_view::npos;
}

std::optional<double> nearest_double(std::string_view number) {
    return nearest<double>(number);
}

std::optional<float> nearest_float(std::string_view number) {
    return nearest<float>(number);
}

bool hide_large_numbers(std::string_view json, std::string& copy) {
    constexpr std::string_view kHidden = "null";
    bool found = false;
    for_each_number(json, [&](std::size_t begin, std::size_t end) {
        const std::string_view number = json.substr(begin, end - begin);
        if (number.size() < kHidden.size() || !is_json_number(number) || !is_large(number)) {
            return true;
        }
        if (!found) copy.assign(json);
        found = true;
        std::fill(copy.begin() + static_cast<std::ptrdiff_t>(begin),
                  copy.begin() + static_cast<std::ptrdiff_t>(end), ' ');
        copy.replace(begin, kHidden.size(), kHidden);
        return true;
    });
    return found;
}

std::string_view find_unstorable_number(std::string_view json) {
    std::string_view found;
    std::string scratch;
    for_each_number(json, [&](std::size_t begin, std::size_t end) {
        const std::string_view number = json.substr(begin, end - begin);
        // A number without exponent is storable if the event is not beyond all bounds.
        constexpr std::size_t kSurelyFits = 16'383;
        const bool has_exponent = number.find_first_of("eE") != std::string_view::npos;
        if (!has_exponent && number.size() <= kSurelyFits) return true;
        scratch.clear();
        if (append_numeric(number, scratch)) return true;
        found = number;
        return false;
    });
    return found;
}

}  // namespace homeward::consumer
