#pragma once

// The raw text between the quotes of a JSON string: its bytes, and whether two are the same string.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeward {

/// Four hex digits, or -1.
int parse_hex4(std::string_view text);

/// A JSON string's bytes, one after another, without its escapes. NUL becomes U+FFFD, as it does in
/// the leader's columns. The text is valid.
class StringBytes {
  public:
    explicit StringBytes(std::string_view raw) : raw_(raw) {}

    /// -1 at the end.
    int next() {
        if (pending_at_ < pending_.size())
            return static_cast<unsigned char>(pending_[pending_at_++]);
        if (raw_.empty()) return -1;
        const char c = raw_.front();
        raw_.remove_prefix(1);
        if (c != '\\') return static_cast<unsigned char>(c);
        const char escape = raw_.front();
        raw_.remove_prefix(1);
        constexpr std::string_view kNames = "bfnrt";
        constexpr std::string_view kBytes = "\b\f\n\r\t";
        const std::size_t place = kNames.find(escape);
        if (place != std::string_view::npos) return kBytes[place];
        if (escape != 'u') return static_cast<unsigned char>(escape);
        return decode(take_code_point());
    }

  private:
    unsigned take_code_point() {
        auto code = static_cast<unsigned>(parse_hex4(raw_));
        raw_.remove_prefix(4);
        if (code >= 0xd800 && code < 0xdc00) {
            const auto low = static_cast<unsigned>(parse_hex4(raw_.substr(2)));
            raw_.remove_prefix(6);
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        return code == 0 ? 0xfffd : code;
    }
    int decode(unsigned code) {
        if (code < 0x80) return static_cast<int>(code);
        const auto tail = [code](unsigned shift) {
            return static_cast<char>(0x80 | ((code >> shift) & 0x3f));
        };
        pending_ = {tail(12), tail(6), tail(0)};
        pending_at_ = code < 0x800 ? 2 : code < 0x10000 ? 1 : 0;
        if (code < 0x800) return static_cast<int>(0xc0 | (code >> 6));
        if (code < 0x10000) return static_cast<int>(0xe0 | (code >> 12));
        return static_cast<int>(0xf0 | (code >> 18));
    }

    std::string_view raw_;
    std::array<char, 3> pending_{};
    std::size_t pending_at_ = 3;
};

inline bool has_escape(std::string_view raw) {
    return raw.find('\\') != std::string_view::npos;
}

/// Whether two raw texts are one string, however either is escaped.
bool is_same_string(std::string_view raw, std::string_view other_raw);

/// FNV-1a over the bytes; equal for the same string, however it is escaped.
std::uint32_t hash_json_string(std::string_view raw);

/// Keys seen so far; finds a duplicate without memory on the heap.
class SeenKeys {
  public:
    bool is_new(std::string_view raw) {
        const std::uint32_t hash = hash_json_string(raw);
        std::uint64_t& word = filter_[(hash >> 6) % filter_.size()];
        const std::uint64_t bit = std::uint64_t{1} << (hash & 63);
        if ((word & bit) != 0) {
            for (std::size_t i = 0; i < count_; ++i) {
                if (hashes_[i] == hash && is_same_string(keys_[i], raw)) return false;
            }
        }
        word |= bit;
        if (count_ < keys_.size()) {
            hashes_[count_] = hash;
            keys_[count_++] = raw;
        }
        return true;
    }

  private:
    std::array<std::uint64_t, 16> filter_{};
    std::size_t count_ = 0;
    // Left as they are: only the first count_ are ever read.
    std::array<std::uint32_t, 512> hashes_;
    std::array<std::string_view, 512> keys_;
};

}  // namespace homeward
