#include "schemas/columns/text_column.hpp"

#include <algorithm>
#include <cstring>

#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

/// A column keeps its encoding for so many frames, as long as its values allow it.
constexpr int kFramesUntilRetry = 64;
/// A dictionary has so many entries freely, and beyond them one for every fourth value.
constexpr std::size_t kEntriesFree = 16;
/// Prefixes are worth their lengths if so much of the text, as a share, is shared.
constexpr std::size_t kSharedShareMin = 4;

/// Of the whole text: an attacker who makes all collide gains a linear search in 256 entries.
std::size_t hash_of(std::string_view text) {
    constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15u;
    std::uint64_t hash = text.size() * kMultiplier;
    std::uint64_t word = 0;
    for (; text.size() > sizeof word; text.remove_prefix(sizeof word)) {
        std::memcpy(&word, text.data(), sizeof word);
        hash = (hash ^ word) * kMultiplier;
        hash ^= hash >> 29;
    }
    word = 0;
    std::uint32_t half = 0;
    if (text.size() >= sizeof half) {
        std::memcpy(&half, text.data(), sizeof half);
        word = half;
        std::memcpy(&half, text.data() + text.size() - sizeof half, sizeof half);
        word = word << 32 | half;
    } else {
        for (const char c : text) word = word << 8 | static_cast<unsigned char>(c);
    }
    hash = (hash ^ word) * kMultiplier;
    return static_cast<std::size_t>(hash >> 40);
}

std::size_t shared_prefix(std::string_view one, std::string_view other) {
    const std::size_t most = std::min(one.size(), other.size());
    std::size_t shared = 0;
    std::uint64_t left = 0, right = 0;
    while (shared + sizeof left <= most) {
        std::memcpy(&left, one.data() + shared, sizeof left);
        std::memcpy(&right, other.data() + shared, sizeof right);
        if (left != right) break;
        shared += sizeof left;
    }
    while (shared < most && one[shared] == other[shared]) ++shared;
    return shared;
}

}  // namespace

void TextColumn::write(std::string& out, std::string_view presence) {
    const std::size_t encoding_at = out.size();
    out += '\0';
    out += presence;
    constexpr std::array kCandidates{Encoding::dictionary, Encoding::patterns, Encoding::prefixes};
    bool is_written = --frames_until_retry_ > 0 && append(last_, out);
    for (std::size_t i = 0; i < kCandidates.size() && !is_written; ++i) {
        last_ = kCandidates[i];
        frames_until_retry_ = kFramesUntilRetry;
        is_written = append(last_, out);
    }
    if (!is_written) {
        last_ = Encoding::texts;
        append_texts(out);
    }
    const auto bits = static_cast<std::uint8_t>(presence.empty() ? 0 : kHasPresence);
    out[encoding_at] = static_cast<char>(static_cast<std::uint8_t>(last_) | bits);
}

/// False, and nothing appended: the values do not suit it.
bool TextColumn::append(Encoding encoding, std::string& out) {
    switch (encoding) {
        case Encoding::dictionary:
            return append_dictionary(out);
        case Encoding::patterns:
            return patterns_.encode(lengths_, texts_, out);
        case Encoding::prefixes:
            return append_prefixes(out);
        default:
            append_texts(out);
            return true;
    }
}

bool TextColumn::append_dictionary(std::string& out) {
    slots_.fill(0);
    entries_.clear();
    places_.clear();
    std::string_view rest = texts_;
    for (const std::uint32_t length : lengths_) {
        const std::string_view value = rest.substr(0, length);
        rest.remove_prefix(length);
        std::size_t slot = hash_of(value) % kSlots;
        while (slots_[slot] != 0 && entries_[slots_[slot] - 1u] != value) {
            slot = (slot + 1) % kSlots;
        }
        if (slots_[slot] == 0) {
            const bool is_full = entries_.size() == kDictionaryMax ||
                                 entries_.size() >= kEntriesFree + places_.size() / 4;
            if (is_full) return false;
            entries_.push_back(value);
            slots_[slot] = static_cast<std::uint16_t>(entries_.size());
        }
        places_ += static_cast<char>(slots_[slot] - 1);
    }
    append_varint(out, entries_.size());
    for (const std::string_view entry : entries_) append_varint(out, entry.size());
    for (const std::string_view entry : entries_) out += entry;
    out += places_;
    return true;
}

bool TextColumn::append_prefixes(std::string& out) {
    shared_.clear();
    rests_.clear();
    rest_lengths_.clear();
    std::string_view before, rest = texts_;
    std::size_t sum = 0;
    for (const std::uint32_t length : lengths_) {
        const std::string_view value = rest.substr(0, length);
        rest.remove_prefix(length);
        const std::size_t shared = shared_prefix(before, value);
        append_varint(shared_, shared);
        append_varint(rest_lengths_, length - shared);
        rests_ += value.substr(shared);
        sum += shared;
        before = value;
    }
    if (sum * kSharedShareMin < texts_.size()) return false;
    out.append(shared_).append(rest_lengths_).append(rests_);
    return true;
}

void TextColumn::append_texts(std::string& out) const {
    for (const std::uint32_t length : lengths_) append_varint(out, length);
    out += texts_;
}

}  // namespace homeward::columns
