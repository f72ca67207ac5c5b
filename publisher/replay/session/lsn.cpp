#include <homeward/replay/lsn.hpp>

#include <charconv>
#include <cstdio>

namespace homeward::replay {
namespace {

/// XLogPageHeaderData and XLogLongPageHeaderData, the same since PostgreSQL 9.3.
constexpr std::uint32_t kPageHeaderBytes = 24;
constexpr std::uint32_t kSegmentHeaderBytes = 40;

std::optional<std::uint32_t> parse_half(std::string_view text) {
    std::uint32_t half = 0;
    if (text.size() > 8) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), half, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return half;
}

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = parse_half(text.substr(0, slash));
    const auto low = parse_half(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{*high} << 32 | *low;
}

std::string lsn_text(Lsn lsn) {
    char text[2 * 8 + 2];
    const int size = std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn >> 32),
                                   static_cast<unsigned>(lsn));
    return {text, static_cast<std::size_t>(size)};
}

Lsn end_of_record(Lsn insert_lsn, const WalLayout& layout) {
    if (insert_lsn % layout.segment_bytes == kSegmentHeaderBytes) {
        return insert_lsn - kSegmentHeaderBytes;
    }
    // Never inside a segment's longer first header, where no record can end.
    const bool is_first_page = insert_lsn % layout.segment_bytes < layout.block_bytes;
    if (!is_first_page && insert_lsn % layout.block_bytes == kPageHeaderBytes) {
        return insert_lsn - kPageHeaderBytes;
    }
    return insert_lsn;
}

}  // namespace homeward::replay
