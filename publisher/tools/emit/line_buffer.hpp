#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace homeward {

/// Bytes as they come, cut into lines. A line longer than the longest event is skipped to its end
/// and told without its text, so that memory is bounded whatever a client sends.
class LineBuffer {
  public:
    /// More than any event: emit_json() refuses those by itself.
    static constexpr std::size_t kLineBytesMax = 300u << 10;

    using OnLine = std::function<void(std::string_view line, bool is_too_long)>;

    /// Calls `on_line` for each line that ends in `bytes`; without its '\n'.
    void add(std::string_view bytes, const OnLine& on_line);
    /// What is left without an end, if anything.
    void finish(const OnLine& on_line);

  private:
    std::string begun_;  // a line whose end has not come yet
    bool is_skipping_ = false;
};

}  // namespace homeward
