#include "schemas/columns/patterns.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "schemas/columns/copy_text.hpp"
#include "schemas/columns/layout.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

constexpr char kFree = '0';
constexpr char kFixed = '1';
constexpr char kNoDigits = '@';
/// Of kDigitsMax digits.
constexpr std::uint64_t kNumberMax = 999'999'999'999'999'999;
/// With more patterns than this and one for every eighth value, another encoding is better.
constexpr std::size_t kPatternsFree = 16;

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

std::size_t bytes_for(std::uint64_t range) {
    return (static_cast<std::size_t>(std::bit_width(range)) + 7) / 8;
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

bool Pattern::parse(std::string_view pattern) {
    parts_.clear();
    end_.clear();
    bytes_max_ = pattern.size();
    while (!pattern.empty()) {
        const char c = pattern.front();
        pattern.remove_prefix(1);
        if (!is_digit(c)) {
            end_ += c;
            continue;
        }
        unsigned digits = 0;
        if (c == kFixed) {
            if (pattern.empty() || pattern.front() <= kNoDigits) return false;
            digits = static_cast<unsigned>(pattern.front() - kNoDigits);
            pattern.remove_prefix(1);
        }
        if ((c != kFree && c != kFixed) || digits > kDigitsMax) return false;
        parts_.push_back({std::move(end_), digits});
        end_.clear();
        bytes_max_ += kDigitsMax;
    }
    return true;
}

bool Pattern::match(std::string_view text, std::vector<std::uint64_t>& numbers) const {
    const std::size_t before = numbers.size();
    numbers.resize(before + parts_.size());
    std::uint64_t* number = numbers.data() + before;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (const Part& part : parts_) {
        const std::size_t length = part.before.size();
        if (static_cast<std::size_t>(end - at) <= length ||
            !are_same(at, part.before.data(), length)) {
            break;
        }
        at += length;
        const char* const most = end - at < kDigitsMax ? end : at + kDigitsMax;
        const char* const digits = at;
        std::uint64_t value = 0;
        while (at < most && is_digit(*at)) value = value * 10 + static_cast<unsigned>(*at++ - '0');
        const auto count = static_cast<unsigned>(at - digits);
        const bool fits =
            part.digits == 0 ? count == 1 || (count > 1 && *digits != '0') : count == part.digits;
        if (!fits) break;
        *number++ = value;
    }
    const bool is_match = number == numbers.data() + numbers.size() &&
                          std::string_view(at, static_cast<std::size_t>(end - at)) == end_;
    if (!is_match) numbers.resize(before);
    return is_match;
}

char* Pattern::write(char* at, const std::uint64_t* numbers) const {
    for (const Part& part : parts_) {
        at = copy_text(at, part.before);
        char* const begin = at;
        at = write_number(at, *numbers++);
        const std::size_t count = static_cast<std::size_t>(at - begin);
        if (part.digits == 0) continue;
        if (count > part.digits) return nullptr;
        std::memmove(begin + part.digits - count, begin, count);
        std::memset(begin, '0', part.digits - count);
        at = begin + part.digits;
    }
    return copy_text(at, end_);
}

bool PatternEncoder::add(std::string_view value, std::size_t values_before) {
    std::size_t found = used_;
    if (last_ < used_ && entries_[last_].pattern.match(value, entries_[last_].numbers)) {
        found = last_;
    }
    for (std::size_t i = 0; found == used_ && i < used_; ++i) {
        if (entries_[i].pattern.match(value, entries_[i].numbers)) found = i;
        if (found == i) break;
    }
    if (found == used_) {
        if (used_ == kDictionaryMax || used_ > kPatternsFree + values_before / 8) return false;
        if (entries_.size() == used_) entries_.emplace_back();
        Entry& entry = entries_[used_++];
        entry.text = Pattern::of(value);
        entry.values = 0;
        entry.numbers.clear();
        if (!entry.pattern.parse(entry.text) || !entry.pattern.match(value, entry.numbers)) {
            return false;
        }
    }
    last_ = found;
    ++entries_[found].values;
    places_ += static_cast<char>(found);
    return true;
}

void PatternEncoder::append_numbers(const Entry& entry, std::size_t index, std::string& out) {
    const std::size_t stride = entry.pattern.numbers();
    std::uint64_t least = UINT64_MAX, most = 0;
    for (std::size_t i = index; i < entry.numbers.size(); i += stride) {
        least = std::min(least, entry.numbers[i]);
        most = std::max(most, entry.numbers[i]);
    }
    const std::size_t bytes = bytes_for(most - least);
    out += static_cast<char>(bytes);
    append_varint(out, least);
    if (bytes == 0) return;
    std::size_t at = out.size();
    // All eight bytes of each, the next over those that it does not need.
    out.resize(at + bytes * entry.values + sizeof least);
    for (std::size_t i = index; i < entry.numbers.size(); i += stride) {
        const std::uint64_t number = entry.numbers[i] - least;
        std::memcpy(out.data() + at, &number, sizeof number);
        at += bytes;
    }
    out.resize(at);
}

bool PatternEncoder::encode(std::span<const std::uint32_t> lengths, std::string_view texts,
                            std::string& out) {
    used_ = last_ = 0;
    if (entries_.size() > kEntriesKept) entries_.resize(kEntriesKept);
    places_.clear();
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        if (!add(texts.substr(0, lengths[i]), i)) return false;
        texts.remove_prefix(lengths[i]);
    }
    append_varint(out, used_);
    for (std::size_t i = 0; i < used_; ++i) append_varint(out, entries_[i].text.size());
    for (std::size_t i = 0; i < used_; ++i) out += entries_[i].text;
    if (used_ > 1) out += places_;
    for (std::size_t i = 0; i < used_; ++i) {
        const std::size_t numbers = entries_[i].pattern.numbers();
        for (std::size_t index = 0; index < numbers; ++index) {
            append_numbers(entries_[i], index, out);
        }
    }
    return true;
}

/// One place of all values of a pattern.
bool PatternDecoder::take_numbers(std::string_view& in, const Entry& entry, std::size_t index) {
    if (in.empty()) return false;
    const auto bytes = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    std::uint64_t least = 0;
    if (bytes > sizeof least || !take_varint(in, least)) return false;
    if (in.size() < std::size_t{bytes} * entry.values) return false;
    const std::size_t stride = entry.pattern.numbers();
    const std::uint64_t mask = bytes == 0 ? 0 : UINT64_MAX >> (64 - 8 * bytes);
    std::uint64_t most = 0;
    for (std::uint32_t i = 0; i < entry.values; ++i) {
        const std::size_t at = std::size_t{bytes} * i;
        std::uint64_t number = 0;
        if (at + sizeof number <= in.size()) [[likely]] {
            std::memcpy(&number, in.data() + at, sizeof number);
        } else {
            std::memcpy(&number, in.data() + at, bytes);
        }
        number = (number & mask) + least;
        most = std::max(most, number);
        numbers_[entry.first + i * stride + index] = number;
    }
    if (most > kNumberMax) return false;
    in.remove_prefix(std::size_t{bytes} * entry.values);
    return true;
}

bool PatternDecoder::open(std::string_view& in, std::size_t values) {
    std::uint64_t count = 0;
    if (!take_varint(in, count) || count == 0 || count > kDictionaryMax) return false;
    used_ = count;
    if (entries_.size() < used_) entries_.resize(used_);
    std::array<std::uint64_t, kDictionaryMax> lengths;
    for (std::size_t i = 0; i < used_; ++i) {
        if (!take_varint(in, lengths[i]) || lengths[i] > in.size()) return false;
    }
    for (std::size_t i = 0; i < used_; ++i) {
        if (lengths[i] > in.size() || !entries_[i].pattern.parse(in.substr(0, lengths[i]))) {
            return false;
        }
        in.remove_prefix(lengths[i]);
        entries_[i].values = used_ > 1 ? 0 : static_cast<std::uint32_t>(values);
        entries_[i].next = 0;
    }
    place_ = 0;
    places_ = {};
    if (used_ > 1) {
        if (in.size() < values) return false;
        places_ = in.substr(0, values);
        in.remove_prefix(values);
        for (const char place : places_) {
            if (static_cast<unsigned char>(place) >= used_) return false;
            ++entries_[static_cast<unsigned char>(place)].values;
        }
    }
    std::size_t numbers = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        Entry& entry = entries_[i];
        // A number has a digit at least.
        entry.first = numbers;
        numbers += entry.pattern.numbers() * entry.values;
        if (numbers > kValuesBytesMax) return false;
        numbers_.resize(numbers);
        for (std::size_t index = 0; index < entry.pattern.numbers(); ++index) {
            if (!take_numbers(in, entry, index)) return false;
        }
    }
    return true;
}

std::size_t PatternDecoder::bytes_max() const {
    return entries_[place()].pattern.bytes_max();
}

char* PatternDecoder::write_next(char* at) {
    Entry& entry = entries_[place()];
    ++place_;
    const std::size_t first = entry.first + entry.next++ * entry.pattern.numbers();
    return entry.pattern.write(at, numbers_.data() + first);
}

}  // namespace homeward::columns
