// Text into columns: what is taken has the binary form that PostgreSQL's documentation gives, and
// what is refused leaves nothing half written that a row would keep.

#include "consumer/decode/column_value.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward::consumer;
using homeward::fuzz::require;

namespace {

int word_at(std::string_view bytes, std::size_t index) {
    return static_cast<unsigned char>(bytes[2 * index]) << 8 |
           static_cast<unsigned char>(bytes[2 * index + 1]);
}

/// Count of groups, weight, sign, scale; then the groups, of four digits, none of zeros outside.
void check_numeric(std::string_view bytes) {
    constexpr int kGroupEnd = 10'000;
    constexpr int kScaleMax = 16'383;
    const auto groups = static_cast<std::size_t>(word_at(bytes, 0));
    require(bytes.size() == 8 + 2 * groups);
    const int sign = word_at(bytes, 2);
    const bool is_special = sign == 0xc000 || sign == 0xd000 || sign == 0xf000;  // NaN, infinities
    require(sign == 0 || (sign == 0x4000 && groups > 0) || (is_special && groups == 0));
    require(word_at(bytes, 3) <= kScaleMax);
    for (std::size_t i = 4; i < 4 + groups; ++i) require(word_at(bytes, i) < kGroupEnd);
    require(groups == 0 || (word_at(bytes, 4) > 0 && word_at(bytes, 3 + groups) > 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::string bytes;
    if (append_numeric(text, bytes)) check_numeric(bytes);
    bytes.clear();
    if (append_uuid(text, bytes)) require(bytes.size() == 16);
    bytes.clear();
    if (append_inet(text, bytes)) {
        const bool is_v6 = bytes.at(0) == 3;
        require(is_v6 || bytes[0] == 2);
        require(bytes.size() == (is_v6 ? 20 : 8) && bytes[3] == (is_v6 ? 16 : 4));
        require(static_cast<unsigned char>(bytes[1]) <= (is_v6 ? 128 : 32));
    }
    // Four digits of a year, and an hour's offset at most a day.
    constexpr std::int64_t kYear10000Us = 253'402'300'800'000'000;
    constexpr std::int64_t kYear0Us = -62'167'219'200'000'000;
    constexpr std::int64_t kDayUs = 86'400'000'000;
    if (const auto time_us = parse_rfc3339(text)) {
        require(*time_us > kYear0Us - 2 * kDayUs && *time_us < kYear10000Us + 2 * kDayUs);
    }
    return 0;
}
