#include "consumer/decode/joined_texts.hpp"

#include <algorithm>
#include <vector>

#include "tests/support/catch.hpp"

using namespace homeward::consumer;

TEST_CASE("texts of every length are joined as they are, and their separators counted") {
    std::string source;
    for (int i = 0; i < 100; ++i) source += static_cast<char>('a' + i % 26);
    std::vector<std::string> texts;
    std::string expected = "before";
    for (std::size_t bytes = 0; bytes <= source.size(); ++bytes) {
        texts.push_back(source.substr(0, bytes));
        expected += (bytes == 0 ? "" : std::string(1, kPackSeparator)) + texts.back();
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    std::string joined = "before";
    join_texts({}, joined);
    CHECK(joined == "before");
    join_texts(views, joined);
    CHECK(joined == expected);
    CHECK(count_separators(joined) == source.size());
}

TEST_CASE("separators are counted at every place, among bytes of every value") {
    std::string text;
    for (int i = 0; i < 5'000; ++i) text += static_cast<char>(i * 7 % 256);
    for (std::size_t from = 0; from < 300; ++from) {
        const std::string_view part = std::string_view(text).substr(from);
        REQUIRE(count_separators(part) ==
                static_cast<std::size_t>(std::count(part.begin(), part.end(), kPackSeparator)));
    }
    const std::string only(3'000, kPackSeparator);
    CHECK(count_separators(only) == only.size());
}
