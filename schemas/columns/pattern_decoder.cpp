#include "schemas/columns/pattern_decoder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "schemas/columns/layout.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::columns {

/// The numbers at one placeholder of all values of a pattern.
bool PatternDecoder::take_numbers(std::string_view& in, const Entry& entry, std::size_t index) {
    if (in.empty()) return false;
    const auto bytes = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    std::uint64_t least = 0;
    if (bytes > sizeof least || !take_varint(in, least)) return false;
    if (in.size() < std::size_t{bytes} * entry.values) return false;
    const std::size_t stride = entry.pattern.numbers();
    const std::uint64_t mask = bytes == 0 ? 0 : UINT64_MAX >> (64 - 8 * bytes);
    std::uint64_t most = 0;  // above `least`
    for (std::uint32_t i = 0; i < entry.values; ++i) {
        const std::size_t at = std::size_t{bytes} * i;
        std::uint64_t number = 0;
        if (at + sizeof number <= in.size()) [[likely]] {
            std::memcpy(&number, in.data() + at, sizeof number);
        } else {
            std::memcpy(&number, in.data() + at, bytes);
        }
        number &= mask;
        most = std::max(most, number);
        numbers_[entry.first + i * stride + index] = number + least;
    }
    in.remove_prefix(std::size_t{bytes} * entry.values);
    // Their sum must not wrap.
    if (least > Pattern::kNumberMax || most > Pattern::kNumberMax) return false;
    return entry.pattern.has(index, {numbers_[entry.first + index], least, least + most});
}

bool PatternDecoder::take_patterns(std::string_view& in) {
    std::uint64_t count = 0;
    if (!take_varint(in, count) || count == 0 || count > kDictionaryMax) return false;
    used_ = count;
    if (entries_.size() < used_) entries_.resize(used_);
    std::array<std::uint64_t, kDictionaryMax> lengths;
    for (std::size_t i = 0; i < used_; ++i) {
        if (!take_varint(in, lengths[i]) || lengths[i] > in.size()) return false;
    }
    placeholders_.clear();
    for (std::size_t i = 0; i < used_; ++i) {
        if (lengths[i] > in.size()) return false;
        Entry& entry = entries_[i];
        entry.text = in.substr(0, lengths[i]);
        in.remove_prefix(lengths[i]);
        // Of the numbers of each, at least two bytes follow.
        const std::size_t most = in.size() / 2;
        if (placeholders_.size() > most ||
            !Pattern::parse(entry.text, most - placeholders_.size(), placeholders_)) {
            return false;
        }
        entry.placeholders_end = placeholders_.size();
    }
    std::size_t begin = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        const std::size_t end = entries_[i].placeholders_end;
        entries_[i].pattern = {entries_[i].text,
                               std::span(placeholders_).subspan(begin, end - begin)};
        begin = end;
    }
    return true;
}

/// Which pattern each value has. False: not one of them, or one has no value.
bool PatternDecoder::take_places(std::string_view& in, std::size_t values) {
    for (std::size_t i = 0; i < used_; ++i) entries_[i].values = entries_[i].next = 0;
    place_ = 0;
    places_ = {};
    if (used_ == 1) {
        entries_[0].values = static_cast<std::uint32_t>(values);
        return values > 0;
    }
    if (in.size() < values) return false;
    places_ = in.substr(0, values);
    in.remove_prefix(values);
    for (const char place : places_) {
        if (static_cast<unsigned char>(place) >= used_) return false;
        ++entries_[static_cast<unsigned char>(place)].values;
    }
    return std::all_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(used_),
                       [](const Entry& entry) { return entry.values > 0; });
}

/// A number has a digit at least.
bool PatternDecoder::reserve_numbers(std::size_t bytes_max) {
    std::size_t numbers = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        entries_[i].first = numbers;
        numbers += entries_[i].pattern.numbers() * entries_[i].values;
        if (numbers > bytes_max) return false;
    }
    if (numbers_.size() < numbers) numbers_.resize(numbers);
    return true;
}

bool PatternDecoder::open(std::string_view& in, std::size_t values, std::size_t bytes_max) {
    if (!take_patterns(in) || !take_places(in, values) || !reserve_numbers(bytes_max)) return false;
    for (std::size_t i = 0; i < used_; ++i) {
        for (std::size_t index = 0; index < entries_[i].pattern.numbers(); ++index) {
            if (!take_numbers(in, entries_[i], index)) return false;
        }
    }
    return true;
}

std::size_t PatternDecoder::bytes() const {
    const Entry& entry = entries_[place()];
    return entry.pattern.bytes_of(next_numbers(entry));
}

char* PatternDecoder::write_next(char* at) {
    Entry& entry = entries_[place()];
    ++place_;
    const std::uint64_t* const numbers = next_numbers(entry);
    ++entry.next;
    return entry.pattern.write(at, numbers);
}

void PatternDecoder::trim() {
    if (numbers_.capacity() > kNumbersKept) numbers_ = {};
    if (placeholders_.capacity() > kPlaceholdersKept) placeholders_ = {};
}

}  // namespace homeward::columns
