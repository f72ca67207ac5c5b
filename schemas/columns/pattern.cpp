#include "schemas/columns/pattern.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>

#include "schemas/columns/copy_text.hpp"

namespace homeward::columns {
namespace {

constexpr char kFree = '0';
constexpr char kFixed = '1';
constexpr char kNoDigits = '@';
constexpr std::array<std::uint64_t, Pattern::kDigitsMax + 1> kPowersOfTen = [] {
    std::array<std::uint64_t, Pattern::kDigitsMax + 1> powers{1};
    for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
    return powers;
}();
static_assert(Pattern::kNumberMax == kPowersOfTen[Pattern::kDigitsMax] - 1);

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// How many digits begin here, as one number has them.
std::size_t count_digits(std::string_view text) {
    const std::size_t most = std::min<std::size_t>(text.size(), Pattern::kDigitsMax);
    std::size_t count = 0;
    while (count < most && is_digit(text[count])) ++count;
    return count;
}

/// As memcmp() says, without a call for what is short.
bool are_same(const char* one, const char* other, std::size_t bytes) {
    std::uint64_t left = 0, right = 0;
    if (bytes >= sizeof left) {
        for (std::size_t at = 0; at + sizeof left < bytes; at += sizeof left) {
            std::memcpy(&left, one + at, sizeof left);
            std::memcpy(&right, other + at, sizeof right);
            if (left != right) return false;
        }
        std::memcpy(&left, one + bytes - sizeof left, sizeof left);
        std::memcpy(&right, other + bytes - sizeof right, sizeof right);
        return left == right;
    }
    for (std::size_t at = 0; at < bytes; ++at) {
        if (one[at] != other[at]) return false;
    }
    return true;
}

/// Most numbers are small, and std::to_chars() counts digits first.
char* write_number(char* at, std::uint64_t number) {
    if (number >= 10'000) return std::to_chars(at, at + Pattern::kDigitsMax, number).ptr;
    const auto small = static_cast<unsigned>(number);
    if (small >= 1'000) *at++ = static_cast<char>('0' + small / 1'000);
    if (small >= 100) *at++ = static_cast<char>('0' + small / 100 % 10);
    if (small >= 10) *at++ = static_cast<char>('0' + small / 10 % 10);
    *at++ = static_cast<char>('0' + small % 10);
    return at;
}

std::size_t digits_of(std::uint64_t number) {
    std::size_t digits = 1;
    while (digits < Pattern::kDigitsMax && number >= kPowersOfTen[digits]) ++digits;
    return digits;
}

}  // namespace

std::string Pattern::of(std::string_view text) {
    std::string pattern;
    while (!text.empty()) {
        const std::size_t digits = count_digits(text);
        if (digits == 0) {
            pattern += text.front();
            text.remove_prefix(1);
            continue;
        }
        if (text.front() == '0' && digits > 1) {
            pattern += kFixed;
            pattern += static_cast<char>(kNoDigits + digits);
        } else {
            pattern += kFree;
        }
        text.remove_prefix(digits);
    }
    return pattern;
}

bool Pattern::parse(std::string_view pattern, std::size_t most,
                    std::vector<Placeholder>& placeholders) {
    const std::size_t end = placeholders.size() + most;
    std::uint32_t before = 0;
    while (!pattern.empty()) {
        const char c = pattern.front();
        pattern.remove_prefix(1);
        if (!is_digit(c)) {
            ++before;
            continue;
        }
        unsigned digits = 0;
        if (c == kFixed) {
            if (pattern.empty() || pattern.front() <= kNoDigits) return false;
            digits = static_cast<unsigned>(pattern.front() - kNoDigits);
            pattern.remove_prefix(1);
        }
        if ((c != kFree && c != kFixed) || digits > kDigitsMax || placeholders.size() == end) {
            return false;
        }
        placeholders.push_back({before, static_cast<std::uint8_t>(digits)});
        before = 0;
    }
    return true;
}

bool Pattern::match(std::string_view text, std::vector<std::uint64_t>& numbers) const {
    const std::size_t numbers_before = numbers.size();
    numbers.resize(numbers_before + placeholders_.size());
    std::uint64_t* number = numbers.data() + numbers_before;
    const char* from = text_.data();
    const char* at = text.data();
    const char* const end = at + text.size();
    for (const Placeholder& one : placeholders_) {
        if (static_cast<std::size_t>(end - at) <= one.before || !are_same(at, from, one.before)) {
            break;
        }
        from += one.before + one.bytes();
        at += one.before;
        const char* const most = end - at < kDigitsMax ? end : at + kDigitsMax;
        const char* const digits = at;
        std::uint64_t value = 0;
        while (at < most && is_digit(*at)) value = value * 10 + static_cast<unsigned>(*at++ - '0');
        const auto count = static_cast<unsigned>(at - digits);
        const bool fits =
            one.digits == 0 ? count == 1 || (count > 1 && *digits != '0') : count == one.digits;
        if (!fits) break;
        *number++ = value;
    }
    const bool is_match = number == numbers.data() + numbers.size() &&
                          std::string_view(at, end) == std::string_view(from, text_.end());
    if (!is_match) numbers.resize(numbers_before);
    return is_match;
}

std::size_t Pattern::bytes_of(const std::uint64_t* numbers) const {
    std::size_t bytes = text_.size();
    for (const Placeholder& one : placeholders_) {
        bytes += one.digits == 0 ? digits_of(*numbers) : one.digits;
        bytes -= one.bytes();
        ++numbers;
    }
    return bytes;
}

bool Pattern::has(std::size_t index, const Numbers& numbers) const {
    const unsigned digits = placeholders_[index].digits;
    // Only a run of more than kDigitsMax digits is cut, behind that many.
    const bool is_cut = index + 1 < placeholders_.size() && placeholders_[index + 1].before == 0;
    if (digits == 0) {
        return numbers.most <= kNumberMax &&
               (!is_cut || numbers.least >= kPowersOfTen[kDigitsMax - 1]);
    }
    const bool begins_with_zero = digits > 1 && numbers.first < kPowersOfTen[digits - 1];
    return begins_with_zero && numbers.most < kPowersOfTen[digits] &&
           (!is_cut || digits == kDigitsMax);
}

char* Pattern::write(char* at, const std::uint64_t* numbers) const {
    const char* from = text_.data();
    for (const Placeholder& one : placeholders_) {
        at = copy_text(at, {from, one.before});
        from += one.before + one.bytes();
        char* const begin = at;
        at = write_number(at, *numbers++);
        if (one.digits == 0) continue;
        const std::size_t count = static_cast<std::size_t>(at - begin);
        assert(count <= one.digits);
        std::memmove(begin + one.digits - count, begin, count);
        std::memset(begin, '0', one.digits - count);
        at = begin + one.digits;
    }
    return copy_text(at, {from, text_.end()});
}

}  // namespace homeward::columns
