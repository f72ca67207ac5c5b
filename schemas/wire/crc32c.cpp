#include "schemas/wire/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace homeward {
namespace {

constexpr std::uint32_t kPolynomialReflected = 0x82f63b78u;

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1u) != 0 ? kPolynomialReflected : 0u);
        }
        table[i] = value;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

std::uint32_t update_by_table(std::uint32_t crc, std::span<const std::byte> bytes) {
    for (std::byte b : bytes) {
        crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint32_t>(b)) & 0xffu];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t update_by_instruction(
    std::uint32_t crc, std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t wide = crc;
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    auto narrow = static_cast<std::uint32_t>(wide);
    // Each step waits for the one before: at most three of them, where bytes would be seven.
    if ((left & 4) != 0) {
        std::uint32_t word;
        std::memcpy(&word, at, sizeof word);
        narrow = _mm_crc32_u32(narrow, word);
        at += 4;
    }
    if ((left & 2) != 0) {
        std::uint16_t word;
        std::memcpy(&word, at, sizeof word);
        narrow = _mm_crc32_u16(narrow, word);
        at += 2;
    }
    if ((left & 1) != 0) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
    return narrow;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~update_by_instruction(~seed, bytes);
#endif
    return ~update_by_table(~seed, bytes);
}

}  // namespace homeward
