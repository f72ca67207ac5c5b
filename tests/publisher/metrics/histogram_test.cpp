// Exponential buckets: against bounds from integer roots, and against logarithms of long double.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "publisher/cells/histogram_reader.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using homeward::detail::HistogramCell;
using homeward::detail::HistogramReader;

namespace {

constexpr std::uint64_t kSeed = 20261130;

/// The definition: base^index < value <= base^(index+1), base = 2^(2^-scale).
std::int32_t index_by_logarithm(double value, int scale) {
    const long double exact = std::log2(static_cast<long double>(value)) * std::exp2(scale);
    return static_cast<std::int32_t>(std::ceil(exact)) - 1;
}

struct Counted {
    int scale = kScaleMax;
    std::map<std::int32_t, std::uint64_t> positive, negative;
    std::uint64_t zeros = 0;
};

int width(const std::map<std::int32_t, std::uint64_t>& counts) {
    return counts.empty() ? 0 : counts.rbegin()->first - counts.begin()->first + 1;
}

/// One histogram of all the values, at the finest scale at which they fit.
Counted count_by_logarithm(const std::vector<double>& values) {
    for (int scale = kScaleMax;; --scale) {
        Counted counted;
        counted.scale = scale;
        for (const double value : values) {
            if (value == 0) {
                ++counted.zeros;
            } else {
                ++(value > 0 ? counted.positive
                             : counted.negative)[index_by_logarithm(std::abs(value), scale)];
            }
        }
        if (width(counted.positive) <= kBucketsMax && width(counted.negative) <= kBucketsMax) {
            return counted;
        }
    }
}

std::map<std::int32_t, std::uint64_t> map_of(const ExponentialBuckets::Range& range) {
    std::map<std::int32_t, std::uint64_t> result;
    for (std::size_t i = 0; i < range.counts.size(); ++i) {
        if (range.counts[i] > 0) result[range.offset + static_cast<int>(i)] = range.counts[i];
    }
    return result;
}

void check_equal(const ExponentialBuckets& buckets, const Counted& counted) {
    CHECK(buckets.scale == counted.scale);
    CHECK(buckets.zero_count == counted.zeros);
    CHECK(map_of(buckets.positive) == counted.positive);
    CHECK(map_of(buckets.negative) == counted.negative);
}

std::vector<double> samples(std::size_t count, double sigma, double negative_share,
                            std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> magnitude(-5, sigma);
    std::uniform_real_distribution<double> share(0, 1);
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i) {
        const double value = share(random) < 0.01 ? 0 : magnitude(random);
        values.push_back(share(random) < negative_share ? -value : value);
    }
    return values;
}

HistogramDelta recorded(const std::vector<double>& values) {
    const auto cell = std::make_unique<HistogramCell>();
    for (const double value : values) REQUIRE(cell->record(value));
    return HistogramReader(*cell).take();
}

}  // namespace

TEST_CASE("bucket bounds are those of exact integer roots") {
    // floor(2^52 * 2^(k/256)) - 2^52, by eight integer square roots of 2^(52 * 256 + k).
    const std::map<std::int32_t, std::uint64_t> mantissas{
        {1, 0xb1afa5abcbe},     {2, 0x163da9fb3335},    {77, 0x3b57fbfec6cf4},
        {128, 0x6a09e667f3bcc}, {200, 0xb7f76f2fb5e46}, {255, 0xfe9d96b2a23d9}};
    for (const auto& [k, mantissa] : mantissas) {
        for (const int exponent : {-1000, -1, 0, 1, 1000}) {
            const double below =
                std::ldexp(std::bit_cast<double>((std::uint64_t{1023} << 52) | mantissa), exponent);
            const double above = std::nextafter(below, std::numeric_limits<double>::infinity());
            CHECK(bucket_index(below) == exponent * 256 + k - 1);
            CHECK(bucket_index(above) == exponent * 256 + k);
        }
    }
}

TEST_CASE("a power of two is in the bucket below it") {
    for (const int exponent : {-1074, -1030, -1022, -1, 0, 1, 1023}) {
        CHECK(bucket_index(std::ldexp(1.0, exponent)) == exponent * 256 - 1);
    }
    CHECK(bucket_index(std::numeric_limits<double>::max()) == 1024 * 256 - 1);
}

TEST_CASE("a histogram has the buckets that logarithms give") {
    for (const double sigma : {0.01, 0.5, 2.0, 40.0}) {
        for (const double negative_share : {0.0, 0.3, 1.0}) {
            INFO("sigma " << sigma << ", negative " << negative_share);
            const auto values = samples(20'000, sigma, negative_share, kSeed);
            const HistogramDelta delta = recorded(values);
            check_equal(delta.buckets, count_by_logarithm(values));
            CHECK(delta.min == *std::min_element(values.begin(), values.end()));
            CHECK(delta.max == *std::max_element(values.begin(), values.end()));
            double sum = 0;
            for (const double value : values) sum += value;
            CHECK(delta.sum == sum);
        }
    }
}

TEST_CASE("the smallest and the largest double fit into one histogram") {
    const std::vector<double> values{std::numeric_limits<double>::denorm_min(),
                                     std::numeric_limits<double>::max(), 1.0};
    const HistogramDelta delta = recorded(values);
    check_equal(delta.buckets, count_by_logarithm(values));
    CHECK(delta.buckets.count() == 3);
}

TEST_CASE("merging two histograms gives the histogram of all their values") {
    for (const double sigma : {0.01, 1.0, 30.0}) {
        const auto left = samples(5'000, sigma, 0.2, kSeed + 1);
        const auto right = samples(5'000, sigma / 3, 0.5, kSeed + 2);
        std::vector<double> all = left;
        all.insert(all.end(), right.begin(), right.end());
        ExponentialBuckets merged = recorded(left).buckets;
        merged.merge(recorded(right).buckets);
        check_equal(merged, count_by_logarithm(all));
    }
}

TEST_CASE("what a cell refuses leaves no trace") {
    const auto cell = std::make_unique<HistogramCell>();
    const double max = std::numeric_limits<double>::max();
    REQUIRE(cell->record(max));
    CHECK_FALSE(cell->record(std::numeric_limits<double>::quiet_NaN()));
    CHECK_FALSE(cell->record(std::numeric_limits<double>::infinity()));
    CHECK_FALSE(cell->record(-std::numeric_limits<double>::infinity()));
    CHECK_FALSE(cell->record(max));  // the sum would be infinite
    const HistogramDelta delta = HistogramReader(*cell).take();
    CHECK(delta.buckets.count() == 1);
    CHECK(delta.sum == max);
    CHECK(delta.max == max);
    CHECK(delta.min == max);
}

TEST_CASE("deltas have each value once, though the cell rescales while it is read") {
    constexpr int kValues = 400'000;
    const auto cell = std::make_unique<HistogramCell>();
    std::vector<double> values;
    std::mt19937_64 random(kSeed);
    for (int i = 0; i < kValues; ++i) {
        // Wider all the time, so that rescales come at every moment.
        std::uniform_real_distribution<double> exponent(0, 0.1 + 900.0 * i / kValues);
        values.push_back(std::exp2(exponent(random)));
    }
    std::atomic<bool> is_done{false};
    std::atomic<int> reads{0};
    std::thread writer([&] {
        for (int i = 0; i < kValues; ++i) {
            // On a busy machine this thread would otherwise end before the other begins.
            const int before = reads;
            while (i % (kValues / 100) == 0 && reads == before) std::this_thread::yield();
            cell->record(values[static_cast<std::size_t>(i)]);
        }
        is_done = true;
    });
    HistogramReader reader(*cell);
    ExponentialBuckets total;
    for (bool last = false; !last; ++reads) {
        last = is_done;
        total.merge(reader.take().buckets);
    }
    writer.join();
    CHECK(reads >= 100);
    check_equal(total, count_by_logarithm(values));
}

TEST_CASE("each delta has its own smallest and largest value") {
    const auto cell = std::make_unique<HistogramCell>();
    HistogramReader reader(*cell);
    for (const double value : {3.0, 5.0, 4.0}) cell->record(value);
    HistogramDelta delta = reader.take();
    CHECK(delta.min == 3);
    CHECK(delta.max == 5);
    cell->record(-2);
    delta = reader.take();
    CHECK(delta.min == -2);
    CHECK(delta.max == -2);
    CHECK(delta.buckets.count() == 1);
    CHECK(delta.sum == -2);
    CHECK(reader.take().buckets.count() == 0);
}
