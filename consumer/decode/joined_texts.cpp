#include "consumer/decode/joined_texts.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "schemas/columns/copy_text.hpp"

namespace homeward::consumer {

void join_texts(std::span<const std::string_view> texts, std::string& joined) {
    if (texts.empty()) return;
    const std::size_t bytes =
        std::accumulate(texts.begin(), texts.end(), texts.size() - 1,
                        [](std::size_t sum, std::string_view text) { return sum + text.size(); });
    const std::size_t before = joined.size();
    joined.resize(before + bytes);
    char* at = columns::copy_text(joined.data() + before, texts.front());
    for (const std::string_view text : texts.subspan(1)) {
        *at = kPackSeparator;
        at = columns::copy_text(at + 1, text);
    }
}

std::size_t count_separators(std::string_view text) {
    constexpr std::uint64_t kEach = 0x0101010101010101, kLow = 0x7f * kEach;
    std::size_t count = 0;
    std::size_t at = 0;
    while (at + 8 <= text.size()) {
        std::uint64_t found = 0;  // by byte; of at most 255 words, or it would overflow
        const std::size_t words = std::min<std::size_t>((text.size() - at) / 8, 255);
        for (const std::size_t end = at + 8 * words; at < end; at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, text.data() + at, sizeof word);
            word ^= static_cast<std::uint64_t>(kPackSeparator) * kEach;
            found += (~(((word & kLow) + kLow) | word) >> 7) & kEach;
        }
        // Of sums up to 255 in each byte, by pairs.
        constexpr std::uint64_t kPairs = 0x00ff00ff00ff00ff;
        count += (((found & kPairs) + ((found >> 8) & kPairs)) * 0x0001000100010001) >> 48;
    }
    return count + static_cast<std::size_t>(std::count(
                       text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), kPackSeparator));
}

}  // namespace homeward::consumer
