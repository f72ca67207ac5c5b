#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/columns/layout.hpp"
#include "schemas/columns/pattern_encoder.hpp"

namespace homeward::columns {

/// Gathers the values of one text column, and writes them in the encoding that suits them. What
/// suited the last frame is tried first. Keeps its memory; one thread.
class TextColumn {
  public:
    void add(std::string_view value) {
        lengths_.push_back(static_cast<std::uint32_t>(value.size()));
        texts_ += value;
    }
    /// Appends the encoding and the values, the presence bitmap between the two; empty: all events
    /// have a value.
    void write(std::string& out, std::string_view presence);
    /// For the next frame.
    void clear() {
        lengths_.clear();
        texts_.clear();
    }

  private:
    bool append(Encoding encoding, std::string& out);
    bool append_dictionary(std::string& out);
    bool append_prefixes(std::string& out);
    void append_texts(std::string& out) const;

    std::vector<std::uint32_t> lengths_;
    std::string texts_;
    Encoding last_ = Encoding::dictionary;
    int frames_until_retry_ = 0;

    // Of the dictionary.
    static constexpr std::size_t kSlots = 1024;  // four for an entry: collisions are rare
    std::array<std::uint16_t, kSlots> slots_;    // 0: free; else an entry's place and 1
    std::vector<std::string_view> entries_;
    std::string places_;
    // Of prefixes.
    std::string shared_, rests_, rest_lengths_;
    PatternEncoder patterns_;
};

}  // namespace homeward::columns
