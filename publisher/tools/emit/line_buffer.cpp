#include "publisher/tools/emit/line_buffer.hpp"

namespace homeward {

void LineBuffer::add(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view piece = bytes.substr(0, end);
        is_skipping_ = is_skipping_ || begun_.size() + piece.size() > kLineBytesMax;
        if (is_skipping_) {
            begun_ = std::string();
        } else if (end == std::string_view::npos || !begun_.empty()) {
            begun_.append(piece);
        }
        if (end == std::string_view::npos) return;
        if (is_skipping_) {
            on_line({}, true);
        } else {
            on_line(begun_.empty() ? piece : std::string_view(begun_), false);
        }
        begun_.clear();
        is_skipping_ = false;
        bytes.remove_prefix(end + 1);
    }
}

void LineBuffer::finish(const OnLine& on_line) {
    if (is_skipping_ || !begun_.empty()) on_line(begun_, is_skipping_);
    begun_.clear();
    is_skipping_ = false;
}

}  // namespace homeward
