// Patterns: what the encoder writes comes back, and whatever else is read keeps the rule by which
// the JSON of one value is parsed for all: the pattern is the first value's, and the others match.

#include "schemas/columns/pattern.hpp"

#include <malloc.h>

#include <random>

#include "schemas/columns/decoder.hpp"
#include "schemas/columns/pattern_decoder.hpp"
#include "schemas/columns/pattern_encoder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/raw_columns.hpp"

using namespace homeward;
using namespace homeward::testing;
using columns::Pattern;

namespace {

using Texts = std::vector<std::string>;

constexpr std::uint64_t kOf18Digits = 100'000'000'000'000'000;

/// The values of a column of patterns; none: it is refused.
Texts texts_of(std::string_view column, std::size_t values) {
    columns::PatternDecoder decoder;
    if (!decoder.open(column, values, columns::kValuesBytesMax)) return {};
    Texts texts;
    for (std::size_t i = 0; i < values; ++i) {
        std::string text(decoder.bytes_max(), '\0');
        const std::size_t bytes = decoder.bytes();
        const char* const end = decoder.write_next(text.data());
        text.resize(static_cast<std::size_t>(end - text.data()));
        CHECK(text.size() == bytes);
        texts.push_back(text);
    }
    CHECK(column.empty());
    return texts;
}

/// One pattern; `numbers` has those of each placeholder.
Texts texts_of(const std::string& pattern, const std::vector<RawNumbers>& numbers) {
    return texts_of(raw_patterns({pattern}, "", numbers), numbers.front().more.size());
}

bool matches(const std::string& pattern, const std::string& text) {
    std::vector<Pattern::Placeholder> placeholders;
    std::vector<std::uint64_t> numbers;
    return Pattern::parse(pattern, pattern.size(), placeholders) &&
           Pattern(pattern, placeholders).match(text, numbers);
}

bool is_decoded(const FrameContent& content, std::uint32_t events) {
    return columns::Decoder().decode(content.body, {content.types, events, content.values_bytes});
}

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

FrameContent texts_by(const std::string& patterns, std::size_t events) {
    return raw_columns("sample", std::vector<std::int64_t>(events),
                       {{RecordKind::text, "note", "\7" + patterns}});
}

}  // namespace

TEST_CASE("texts of digits and anything else come back from their patterns") {
    std::mt19937_64 random(3);
    for (int round = 0; round < 2'000; ++round) {
        Texts texts;
        std::vector<std::uint32_t> lengths;
        std::string joined;
        for (std::size_t count = 1 + random() % 12; count > 0; --count) {
            std::string text;
            for (std::size_t i = random() % 45; i > 0; --i) text += "000012998,B"[random() % 11];
            joined += texts.emplace_back(text);
            lengths.push_back(static_cast<std::uint32_t>(text.size()));
        }
        std::string column;
        REQUIRE(columns::PatternEncoder().encode(lengths, joined, column));
        CHECK(texts_of(column, texts.size()) == texts);
    }
}

TEST_CASE("a pattern that is not its first value's is refused") {
    CHECK(texts_of("{\"a\":0}", {{1, 0, {17, 5}}}) == Texts{"{\"a\":17}", "{\"a\":5}"});
    CHECK(texts_of("x1B", {{1, 0, {5, 17}}}) == Texts{"x05", "x17"});
    // Its first value has no leading zero, or needs none.
    CHECK(texts_of("{\"a\":1B}", {{1, 0, {17, 5}}}).empty());
    CHECK(texts_of("1A", {{1, 0, {0, 7}}}).empty());
    CHECK(texts_of("1B", {{1, 0, {10, 5}}}).empty());
    // A run of digits is cut behind 18, and nowhere else.
    CHECK(texts_of("00", {{1, kOf18Digits, {0, 1}}, {1, 0, {7, 5}}}) ==
          Texts{"1000000000000000007", "1000000000000000015"});
    CHECK(texts_of("1R0", {{8, 0, {5, kOf18Digits}}, {1, 0, {7, 5}}}) ==
          Texts{"0000000000000000057", "1000000000000000005"});
    CHECK(texts_of("{\"a\":00}", {{1, 0, {1, 2}}, {1, 0, {1, 2}}}).empty());
    CHECK(texts_of("{\"a\":01A}", {{1, 0, {1, 0}}, {1, 0, {0, 5}}}).empty());
    CHECK(texts_of("00", {{8, 0, {kOf18Digits, 0}}, {1, 0, {7, 5}}}).empty());
    CHECK(texts_of("00", {{1, kOf18Digits - 1, {1, 0}}, {1, 0, {7, 5}}}).empty());
    CHECK(texts_of("01B", {{1, 0, {1}}, {1, 0, {5}}}).empty());
    CHECK(texts_of("1B0", {{1, 0, {1}}, {1, 0, {5}}}).empty());
}

TEST_CASE("numbers that do not fit their placeholder are refused") {
    CHECK(texts_of("0", {{8, 0, {Pattern::kNumberMax}}}) == Texts{"999999999999999999"});
    CHECK(texts_of("0", {{8, 0, {Pattern::kNumberMax + 1}}}).empty());
    CHECK(texts_of("0", {{1, Pattern::kNumberMax, {0, 1}}}).empty());
    CHECK(texts_of("1B", {{1, 0, {5, 99}}}).size() == 2);
    CHECK(texts_of("1B", {{1, 0, {5, 100}}}).empty());
    // Sums that wrap, so that "at least" would mean nothing.
    CHECK(texts_of("0", {{8, UINT64_MAX, {1, 2}}}).empty());
    CHECK(texts_of("0", {{8, 5, {UINT64_MAX}}}).empty());
    CHECK(texts_of("00", {{8, kOf18Digits, {0, 0 - kOf18Digits}}, {1, 0, {7, 5}}}).empty());
    CHECK(texts_of(raw_patterns({"0"}, "", {{9, 0, {}}}) + "123456789", 1).empty());
}

TEST_CASE("what is no pattern, and patterns without values, are refused") {
    for (const char* pattern : {"2", "9", "1", "1@", "1S", "a1", "15"}) {
        INFO(pattern);
        CHECK(texts_of(pattern, {{0, 1, {0}}}).empty());
    }
    const std::string two(2, '\0');
    CHECK(texts_of(raw_patterns({"a", "b"}, std::string("\0\1", 2), {}), 2) == Texts{"a", "b"});
    CHECK(texts_of(raw_patterns({"a", "b"}, two, {}), 2).empty());
    CHECK(texts_of(raw_patterns({"a", "b"}, std::string("\0\2", 2), {}), 2).empty());
    CHECK(texts_of(raw_patterns({"a"}, "", {}), 0).empty());
    CHECK(texts_of(raw_patterns({}, "", {}), 1).empty());
}

TEST_CASE("whatever decodes, a pattern is the first value's and the others match it") {
    std::mt19937_64 random(5);
    std::size_t decoded = 0;
    const auto any_number = [&]() -> std::uint64_t {
        return (random() % 2 == 0 ? 0 : kOf18Digits) + random() % 120;
    };
    for (int round = 0; round < 100'000; ++round) {
        std::string pattern;
        std::vector<RawNumbers> numbers;
        for (std::size_t i = 1 + random() % 4; i > 0; --i) {
            pattern += Texts{"0", "1A", "1B", "1R", "x"}[random() % 5];
            if (pattern.back() == 'x') continue;
            const unsigned bytes = random() % 2 == 0 ? 8 : 1;
            numbers.push_back({bytes, any_number(), {any_number(), any_number()}});
        }
        const Texts texts = texts_of(raw_patterns({pattern}, "", numbers), 2);
        if (texts.empty()) continue;
        INFO(pattern << ' ' << texts[0] << ' ' << texts[1]);
        REQUIRE(Pattern::of(texts[0]) == pattern);
        REQUIRE(matches(pattern, texts[1]));
        ++decoded;
    }
    CHECK(decoded > 1'000);
}

TEST_CASE("a decoder's memory is bounded by a frame, not by how many frames there were") {
    constexpr std::size_t kHeldMax = 16u << 20;
    constexpr std::size_t kPlaceholders = 64u << 10;
    const std::size_t before = heap_bytes();
    columns::Decoder decoder;
    const auto decode = [&](const FrameContent& content, std::uint32_t events) {
        return decoder.decode(content.body, {content.types, events, content.values_bytes});
    };
    std::string places;
    for (int i = 0; i < 256; ++i) places += static_cast<char>(i);
    std::string large;
    for (std::size_t i = 0; i < kPlaceholders; ++i) large += "0,";
    const std::vector<RawNumbers> numbers(kPlaceholders, RawNumbers{0, 7, {}});
    for (std::size_t i = 0; i < places.size(); ++i) {
        Texts patterns(places.size(), "x");
        patterns[i] = large;
        REQUIRE(decode(texts_by(raw_patterns(patterns, places, numbers), 256), 256));
    }
    CHECK(heap_bytes() < before + kHeldMax);
    // As many as a body has bytes.
    const std::string zeros(columns::kValuesBytesMax - 100, '0');
    CHECK_FALSE(decode(texts_by(raw_patterns({zeros}, "", {}), 1), 1));
    CHECK(heap_bytes() < before + kHeldMax);
}

TEST_CASE("patterns that make much of little are refused") {
    std::string pattern;
    for (int i = 0; i < 5'000; ++i) pattern += "0,";
    const auto content = [&](std::size_t events) {
        const std::vector<RawNumbers> numbers(5'000, RawNumbers{0, Pattern::kNumberMax, {}});
        return texts_by(raw_patterns({pattern}, "", numbers), events);
    };
    CHECK(is_decoded(content(40), 40));
    CHECK_FALSE(is_decoded(content(50), 50));
    CHECK_FALSE(is_decoded(content(65'536), 65'536));
    // Each text is as long as it is: it needs no room for longer numbers.
    FrameContent exact = content(40);
    exact.values_bytes = 40 * (8 + 5'000 * 19 + 1);
    CHECK(is_decoded(exact, 40));
    --exact.values_bytes;
    CHECK_FALSE(is_decoded(exact, 40));
}

TEST_CASE("prefixes share no more than there is") {
    const auto is_good = [](const std::string& shared, const std::string& rests,
                            const std::string& bytes) {
        const std::string column = "\6" + shared + rests + bytes;
        return is_decoded(raw_columns("sample", {1, 2}, {{RecordKind::text, "note", column}}), 2);
    };
    CHECK(is_good(std::string("\0\2", 2), "\2\1", "abc"));
    CHECK_FALSE(is_good("\1\2", "\2\1", "abc"));
    CHECK_FALSE(is_good(std::string("\0\3", 2), "\2\1", "abc"));
    CHECK_FALSE(is_good(std::string("\0\2", 2), "\2\2", "abc"));
    CHECK_FALSE(is_good(std::string("\0\2", 2), "\2\1", "abcd"));
    // A number of more than 64 bits, and one that is cut short.
    const std::string endless(10, '\xff');
    CHECK_FALSE(is_good(std::string("\0", 1) + endless + "\2", "\2\1", "abc"));
    CHECK_FALSE(is_good(std::string("\0\2", 2), "\2\x80", ""));
}
