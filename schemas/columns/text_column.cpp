#include "schemas/columns/text_column.hpp"

#include <cstring>

#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

/// A column with too many different values is written without a dictionary in so many frames,
/// before one is tried again.
constexpr int kFramesWithout = 31;

std::uint64_t load_up_to_8(const char* data, std::size_t bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, bytes);
    return word;
}

/// Of the whole text: an attacker who makes all collide gains a linear search in 256 entries.
std::size_t hash_of(std::string_view text) {
    constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15u;
    std::uint64_t hash = text.size() * kMultiplier;
    while (text.size() >= 8) {
        hash = (hash ^ load_up_to_8(text.data(), 8)) * kMultiplier;
        hash ^= hash >> 29;
        text.remove_prefix(8);
    }
    hash = (hash ^ load_up_to_8(text.data(), text.size())) * kMultiplier;
    return static_cast<std::size_t>(hash >> 40);
}

void append_encoding(std::string& out, Encoding encoding, std::string_view presence) {
    const auto bits = static_cast<std::uint8_t>(presence.empty() ? 0 : kHasPresence);
    out += static_cast<char>(static_cast<std::uint8_t>(encoding) | bits);
    out += presence;
}

}  // namespace

void TextColumn::add(std::string_view value) {
    if (has_dictionary_) {
        add_to_dictionary(value);
    } else {
        append_raw(value);
    }
}

void TextColumn::append_raw(std::string_view value) {
    append_varint(lengths_, value.size());
    texts_ += value;
    bytes_ = lengths_.size() + texts_.size();
}

std::string_view TextColumn::entry(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(entries_).substr(begin, ends_[index] - begin);
}

void TextColumn::add_to_dictionary(std::string_view value) {
    std::size_t slot = hash_of(value) % kSlots;
    while (slots_[slot] != kFree && entry(slots_[slot]) != value) slot = (slot + 1) % kSlots;
    if (slots_[slot] == kFree) {
        if (ends_.size() == kDictionaryMax) {
            drop_dictionary();
            return append_raw(value);
        }
        slots_[slot] = static_cast<std::uint16_t>(ends_.size());
        entries_ += value;
        ends_.push_back(static_cast<std::uint32_t>(entries_.size()));
        bytes_ += 1 + value.size();
    }
    indexes_ += static_cast<char>(slots_[slot]);
    raw_bytes_ += value.size() + 1;
    ++bytes_;
}

void TextColumn::drop_dictionary() {
    has_dictionary_ = false;
    frames_without_ = kFramesWithout;
    for (const char index : indexes_) append_raw(entry(static_cast<unsigned char>(index)));
}

void TextColumn::write(std::string& out, std::string_view presence) const {
    if (!has_dictionary_) {
        append_encoding(out, Encoding::texts, presence);
        out.append(lengths_).append(texts_);
        return;
    }
    // With hardly a value twice the indexes would only be added.
    const bool is_worth_it = entries_.size() + ends_.size() + indexes_.size() < raw_bytes_;
    append_encoding(out, is_worth_it ? Encoding::dictionary : Encoding::texts, presence);
    if (!is_worth_it) {
        for (const char index : indexes_) {
            append_varint(out, entry(static_cast<unsigned char>(index)).size());
        }
        for (const char index : indexes_) out += entry(static_cast<unsigned char>(index));
        return;
    }
    append_varint(out, ends_.size());
    for (std::size_t i = 0; i < ends_.size(); ++i) append_varint(out, entry(i).size());
    out.append(entries_).append(indexes_);
}

void TextColumn::clear() {
    if (!has_dictionary_ && --frames_without_ <= 0) has_dictionary_ = true;
    if (!ends_.empty()) slots_.fill(kFree);
    ends_.clear();
    entries_.clear();
    indexes_.clear();
    lengths_.clear();
    texts_.clear();
    raw_bytes_ = 0;
    bytes_ = 0;
}

}  // namespace homeward::columns
