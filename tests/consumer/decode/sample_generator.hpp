#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/consumer/decode/column_samples.hpp"

namespace homeward::testing {

using Verdict = ColumnSample::Fate;
using Texts = std::vector<std::string>;

inline std::string quoted(const std::string& text) {
    return '"' + text + '"';
}

/// Collects samples; its numbers are the same in every run.
class Generator {
  public:
    /// Values whose JSON and SQL spellings are the same.
    void numbers(const Texts& columns, const Texts& texts, Verdict fate = Verdict::as_postgres) {
        for (const std::string& column : columns) {
            for (const std::string& text : texts) add({column, text, text, fate});
        }
    }
    /// …but for JSON's quotes.
    void strings(const Texts& columns, const Texts& texts, Verdict fate = Verdict::as_postgres) {
        for (const std::string& column : columns) {
            for (const std::string& text : texts) add({column, quoted(text), text, fate});
        }
    }
    void add(ColumnSample sample) { samples.push_back(std::move(sample)); }

    std::uint64_t below(std::uint64_t limit) { return random() % limit; }
    std::string digits(std::size_t count) {
        std::string text;
        while (text.size() < count) text += static_cast<char>('0' + below(10));
        return text;
    }
    /// As JSON writes it, of any size.
    std::string number(std::size_t digits_max, int exponent_max) {
        std::string text = below(2) == 0 ? "-" : "";
        text += std::to_string(1 + below(9)) + digits(below(digits_max));
        if (below(2) == 0) text += "." + digits(1 + below(digits_max));
        if (below(2) == 0) {
            text +=
                "e" + std::to_string(static_cast<int>(below(2 * exponent_max + 1)) - exponent_max);
        }
        return text;
    }
    template <typename Float, typename Bits>
    std::string any_float() {
        for (;;) {
            const auto bits = static_cast<Bits>(random());
            Float value;
            std::memcpy(&value, &bits, sizeof value);
            if (value - value != 0) continue;  // not finite
            std::array<char, 64> text;
            const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
            return {text.data(), end};
        }
    }

    std::mt19937_64 random{20261129};
    std::vector<ColumnSample> samples;
};

}  // namespace homeward::testing
