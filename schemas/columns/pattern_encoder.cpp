#include "schemas/columns/pattern_encoder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "schemas/columns/layout.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

/// With more patterns than this and one for every eighth value, another encoding is better.
constexpr std::size_t kPatternsFree = 16;

std::size_t bytes_for(std::uint64_t range) {
    return (static_cast<std::size_t>(std::bit_width(range)) + 7) / 8;
}

}  // namespace

bool PatternEncoder::add(std::string_view value, std::size_t values_before) {
    std::size_t found = used_;
    if (last_ < used_ && entries_[last_].pattern().match(value, entries_[last_].numbers)) {
        found = last_;
    }
    for (std::size_t i = 0; found == used_ && i < used_; ++i) {
        if (entries_[i].pattern().match(value, entries_[i].numbers)) found = i;
        if (found == i) break;
    }
    if (found == used_) {
        if (used_ == kDictionaryMax || used_ > kPatternsFree + values_before / 8) return false;
        if (entries_.size() == used_) entries_.emplace_back();
        Entry& entry = entries_[used_++];
        entry.text = Pattern::of(value);
        entry.values = 0;
        entry.placeholders.clear();
        entry.numbers.clear();
        if (!Pattern::parse(entry.text, entry.text.size(), entry.placeholders) ||
            !entry.pattern().match(value, entry.numbers)) {
            return false;
        }
    }
    last_ = found;
    ++entries_[found].values;
    places_ += static_cast<char>(found);
    return true;
}

void PatternEncoder::append_numbers(const Entry& entry, std::size_t index, std::string& out) {
    const std::size_t stride = entry.placeholders.size();
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
        const std::size_t numbers = entries_[i].placeholders.size();
        for (std::size_t index = 0; index < numbers; ++index) {
            append_numbers(entries_[i], index, out);
        }
    }
    return true;
}

}  // namespace homeward::columns
