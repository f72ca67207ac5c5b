#include <homeward/replay/lsn.hpp>

#include <homeward/replay/position.hpp>

#include "tests/support/catch.hpp"

using namespace homeward::replay;

namespace {

constexpr Lsn kSegment = 16 * 1024 * 1024;
constexpr Lsn kBlock = 8192;

}  // namespace

TEST_CASE("positions are compared as numbers, not as text") {
    CHECK(*parse_lsn("9/FFFFFFFF") < *parse_lsn("10/0"));
    CHECK(std::string_view("9/FFFFFFFF") > std::string_view("10/0"));
    CHECK(*parse_lsn("16/B374D848") == 0x16'B374'D848);
    CHECK(*parse_lsn("FFFFFFFF/FFFFFFFF") == ~Lsn{0});
}

TEST_CASE("a position keeps its text") {
    for (const char* text : {"0/0", "0/1", "16/B374D848", "FFFFFFFF/FFFFFFFF"}) {
        CHECK(lsn_text(*parse_lsn(text)) == text);
    }
}

TEST_CASE("what is no position is none") {
    for (const char* text : {"", "/", "0/", "/0", "0", "0/0 ", " 0/0", "0x1/0", "-1/0", "0/G",
                             "123456789/0", "0/123456789", "0/0/0"}) {
        INFO(text);
        CHECK_FALSE(parse_lsn(text));
    }
}

TEST_CASE("a position behind a page's header is the end of the record before the page") {
    const WalLayout layout;
    CHECK(end_of_record(5 * kSegment + 3 * kBlock + 24, layout) == 5 * kSegment + 3 * kBlock);
    CHECK(end_of_record(5 * kSegment + 40, layout) == 5 * kSegment);
}

TEST_CASE("any other position stays") {
    const WalLayout layout;
    for (const Lsn offset : {Lsn{0}, Lsn{16}, Lsn{32}, Lsn{40}, kBlock - 8}) {
        CHECK(end_of_record(kSegment + kBlock + offset, layout) == kSegment + kBlock + offset);
    }
    // Where the first page of a segment has its longer header.
    CHECK(end_of_record(kSegment + 24, layout) == kSegment + 24);
}

TEST_CASE("page and segment are as large as the server says") {
    const WalLayout layout{4096, 1024 * 1024};
    CHECK(end_of_record(3 * 4096 + 24, layout) == 3 * 4096);
    CHECK(end_of_record(7 * 1024 * 1024 + 40, layout) == 7 * 1024 * 1024);
    CHECK(end_of_record(4096 + 24, {8192, kSegment}) == 4096 + 24);
}

TEST_CASE("the row of a commit is read, and rounded by the server's own layout") {
    const auto position = parse_committed(
        {"7301234567890123456", "0000000A0000001600000B37", "16/B3002018", "8192", "16777216"});
    REQUIRE(position);
    CHECK(*position == Position{7301234567890123456, 10, 0x16'B300'2000});
    CHECK(parse_committed({"-1", "0000000A0000001600000B37", "0/100", "8192", "16777216"})
              ->system_id == ~std::uint64_t{0});
}

TEST_CASE("a row that is not as promised gives no position") {
    const CommittedRow good{"1", "0000000A0000001600000B37", "0/100", "8192", "16777216"};
    REQUIRE(parse_committed(good));
    for (std::size_t column = 0; column < good.size(); ++column) {
        for (const char* bad : {"", "x", "0"}) {
            CommittedRow row = good;
            row[column] = bad;
            if (column == 0 && row[column] == "0") continue;
            INFO(column << ": " << bad);
            CHECK_FALSE(parse_committed(row));
        }
    }
}

TEST_CASE("the row of a replica tells a standby from a promoted one") {
    const auto standby = parse_replica({"7", "t", "2", "0/3000060"});
    REQUIRE(standby);
    CHECK(*standby == ReplicaPosition{{7, 2, 0x3000060}, ServerRole::standby});
    const auto promoted = parse_replica({"7", "f", "000000030000000000000003", "0/3000060"});
    REQUIRE(promoted);
    CHECK(*promoted == ReplicaPosition{{7, 3, 0x3000060}, ServerRole::primary});
    CHECK_FALSE(parse_replica({"7", "t", "2", ""}));
    CHECK_FALSE(parse_replica({"7", "", "2", "0/1"}));
}
