#include "publisher/cells/bucket_index.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

namespace homeward {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::size_t kPerOctave = std::size_t{1} << kScaleMax;
/// Of a double.
constexpr unsigned kMantissaBits = 52;
constexpr std::uint64_t kMantissaMask = (std::uint64_t{1} << kMantissaBits) - 1;
constexpr int kExponentBias = 1023;
/// Twice as many slots as buckets: none has more than one bound in it.
constexpr unsigned kSlotBits = kScaleMax + 1;
constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

/// Numbers from 1 to below 2, of which bit 127 is the one.
constexpr Wide kOne = Wide{1} << 127;

struct Product {
    Wide high, low;
};
constexpr Product multiply(Wide a, Wide b) {
    const auto low_half = [](Wide value) { return Wide{static_cast<std::uint64_t>(value)}; };
    const Wide low = low_half(a) * low_half(b);
    const Wide left = (a >> 64) * low_half(b);
    const Wide right = low_half(a) * (b >> 64);
    const Wide middle = (low >> 64) + low_half(left) + low_half(right);
    return {(a >> 64) * (b >> 64) + (left >> 64) + (right >> 64) + (middle >> 64),
            (middle << 64) | low_half(low)};
}

constexpr Wide square_root(Wide value) {
    Wide root = 0;
    for (int bit = 127; bit >= 0; --bit) {
        const Wide candidate = root | (Wide{1} << bit);
        const Product square = multiply(candidate, candidate);
        // value * 2^127, as 256 bits
        const bool fits = square.high < (value >> 1) ||
                          (square.high == (value >> 1) && square.low <= (value << 127));
        if (fits) root = candidate;
    }
    return root;
}

struct BucketTable {
    /// By bucket: the smallest mantissa above its lower bound. One more, which none reaches.
    std::array<std::uint64_t, kPerOctave + 1> above{};
    /// By the mantissa's highest bits: how many bounds the slot's first mantissa is above.
    std::array<std::uint16_t, kSlots> first{};
};

constexpr BucketTable make_table() {
    BucketTable table;
    std::array<Wide, kScaleMax> roots{};  // 2^(1/2), 2^(1/4), …
    // The square root of 2, whose own bit does not fit: that of 1/2, times 2.
    for (std::size_t i = 0; i < roots.size(); ++i) {
        roots[i] = i == 0 ? square_root(kOne >> 1) << 1 : square_root(roots[i - 1]);
    }
    for (std::size_t bucket = 0; bucket < kPerOctave; ++bucket) {
        Wide bound = kOne;
        for (std::size_t i = 0; i < roots.size(); ++i) {
            if ((bucket >> (roots.size() - 1 - i) & 1) == 0) continue;
            const Product product = multiply(bound, roots[i]);
            bound = (product.high << 1) | (product.low >> 127);
        }
        // All bounds but the first are irrational, and far more exact here than a mantissa is.
        table.above[bucket] =
            static_cast<std::uint64_t>((bound - kOne) >> (127 - kMantissaBits)) + 1;
    }
    table.above[kPerOctave] = kMantissaMask + 1;
    std::size_t bounds = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        const std::uint64_t mantissa = std::uint64_t{slot} << (kMantissaBits - kSlotBits);
        while (table.above[bounds] <= mantissa) ++bounds;
        table.first[slot] = static_cast<std::uint16_t>(bounds);
    }
    return table;
}

constexpr bool has_one_bound_per_slot(const BucketTable& table) {
    for (std::size_t slot = 0; slot + 1 < kSlots; ++slot) {
        if (table.first[slot + 1] > table.first[slot] + 1) return false;
    }
    return true;
}

constexpr BucketTable kTable = make_table();
static_assert(has_one_bound_per_slot(kTable), "bucket_index() looks at one bound");

}  // namespace

std::int32_t bucket_index(double value) noexcept {
    auto bits = std::bit_cast<std::uint64_t>(value);
    int exponent = static_cast<int>(bits >> kMantissaBits) - kExponentBias;
    if (exponent == -kExponentBias) [[unlikely]] {  // subnormal: exact when made larger
        bits = std::bit_cast<std::uint64_t>(value * 0x1p64);
        exponent = static_cast<int>(bits >> kMantissaBits) - kExponentBias - 64;
    }
    const std::uint64_t mantissa = bits & kMantissaMask;
    const std::uint32_t below = kTable.first[mantissa >> (kMantissaBits - kSlotBits)];
    const std::int32_t bounds =
        static_cast<std::int32_t>(below) + (mantissa >= kTable.above[below] ? 1 : 0);
    return exponent * static_cast<std::int32_t>(kPerOctave) + bounds - 1;
}

double bucket_upper_bound(std::int32_t index, int scale) noexcept {
    return bucket_lower_bound(index + 1, scale);
}

double bucket_lower_bound(std::int32_t index, int scale) noexcept {
    return std::exp2(std::ldexp(static_cast<double>(index), -scale));
}

}  // namespace homeward
