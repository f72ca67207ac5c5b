#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/columns/layout.hpp"

namespace homeward::columns {

/// Gathers the values of one text column: by a dictionary as long as there are few different ones.
/// One thread.
class TextColumn {
  public:
    void add(std::string_view value);
    /// What write() appends, but for a few bytes; grows with each value.
    std::size_t bytes() const { return bytes_; }
    /// Appends the encoding and the values, the presence bitmap between the two; empty: all events
    /// have a value.
    void write(std::string& out, std::string_view presence) const;
    /// For the next frame.
    void clear();

  private:
    static constexpr std::size_t kSlots = 1024;  // four for an entry: collisions are rare
    static constexpr std::uint16_t kFree = UINT16_MAX;

    void add_to_dictionary(std::string_view value);
    std::string_view entry(std::size_t index) const;
    void drop_dictionary();
    void append_raw(std::string_view value);

    bool has_dictionary_ = true;
    int frames_without_ = 0;  // to come, after a frame with too many different values
    std::array<std::uint16_t, kSlots> slots_ = all_free();
    std::vector<std::uint32_t> ends_;  // of entries, in entries_
    std::string entries_;
    std::string indexes_;  // one byte a value
    std::string lengths_;  // without a dictionary, as the frame has them
    std::string texts_;
    std::size_t raw_bytes_ = 0;  // about what they would take without it
    std::size_t bytes_ = 0;

    static constexpr std::array<std::uint16_t, kSlots> all_free() {
        std::array<std::uint16_t, kSlots> slots{};
        slots.fill(kFree);
        return slots;
    }
};

}  // namespace homeward::columns
