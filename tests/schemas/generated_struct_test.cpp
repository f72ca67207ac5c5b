#include <cerrno>
#include <vector>

#include <awkward.event.hpp>
#include <nlohmann/json.hpp>
#include <order.event.hpp>

#include "schemas/record_json.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

nlohmann::json json_of(const events::Awkward& event) {
    std::vector<std::byte> record(event.record_bytes());
    const std::byte* end = event.write_record(record.data(), 1'700'000'000'000'000);
    REQUIRE(end == record.data() + record.size());
    const auto owned = OwnedDescriptor::copy_of(events::Awkward::kDescriptor);
    std::string line;
    REQUIRE(append_record_json(
                record, [&](std::uint32_t) { return &owned; }, line) == RecordError::none);
    return nlohmann::json::parse(line);
}

}  // namespace

TEST_CASE("fields keep their values whatever they are named") {
    events::Awkward event;
    event.at = TimeUs{1};
    event.bytes = 2;
    event.time_us = 3;
    event.presence = false;
    event.to_text_ = events::Awkward::ToText::down;
    event.value = 0.5;
    event.errno_ = 4;
    CHECK(json_of(event) == nlohmann::json{{"type", "awkward"},
                                           {"time", 1'700'000'000'000'000},
                                           {"at", 1},
                                           {"bytes", 2},
                                           {"time_us", 3},
                                           {"presence", false},
                                           {"to_text", "down"},
                                           {"value", 0.5},
                                           {"errno", 4}});
}

namespace {

std::string line_of(const events::Order& event) {
    std::vector<std::byte> record(event.record_bytes());
    REQUIRE(event.write_record(record.data(), 1) == record.data() + record.size());
    const auto owned = OwnedDescriptor::copy_of(events::Order::kDescriptor);
    std::string line;
    REQUIRE(append_record_json(
                record, [&](std::uint32_t) { return &owned; }, line) == RecordError::none);
    return line;
}

}  // namespace

TEST_CASE("an event is complete once all required fields are set, zero and empty included") {
    events::Order event;
    CHECK_FALSE(event.is_complete());
    event.code = "";
    event.total = 0;
    event.kind = events::Order::Kind::web;
    CHECK_FALSE(event.is_complete());
    event.items = 0;
    CHECK(event.is_complete());
    CHECK(event.has_short_texts());
    const std::string long_text(kTextBytesMax + 1, 'x');
    event.note = long_text;
    CHECK_FALSE(event.has_short_texts());
}

TEST_CASE("money keeps every digit") {
    events::Order event;
    event.code = std::string_view("c");
    event.items = 3;
    event.kind = events::Order::Kind::shop;
    event.total = Decimal::scaled(-1230, 2);
    event.discount = "0.10";
    CHECK(line_of(event) == R"({"type":"order","time":1,"code":"c","total":"-12.30",)"
                            R"("discount":"0.10","items":3,"kind":"shop"})");
    CHECK(Decimal::scaled(5, 2).text() == "0.05");
    CHECK(Decimal::scaled(500, 0).text() == "500");
    CHECK(Decimal::scaled(0, 3).text() == "0.000");
    CHECK(Decimal::scaled(INT64_MIN, 18).text() == "-9.223372036854775808");
    CHECK(Decimal(9.99).text() == "9.99");
    CHECK(Decimal(std::int64_t{-7}).text() == "-7");
    CHECK(Decimal(1e300).text() == "1e+300");
    CHECK(Decimal("12345678901234567890.123").text() == "12345678901234567890.123");
    CHECK_FALSE(Decimal().is_set());
}

TEST_CASE("a text that was not set is told apart from an empty one") {
    CHECK_FALSE(Text().is_set());
    CHECK(Text("").is_set());
    CHECK(Text(std::string_view()).is_set());
    CHECK_FALSE(OptionalText(std::nullopt).has_value());
    CHECK(OptionalText("a")->size() == 1);
    CHECK_FALSE(std::is_constructible_v<Text, std::string>);
    CHECK_FALSE(std::is_constructible_v<OptionalText, std::optional<std::string>>);
    CHECK(std::is_constructible_v<Text, std::string&>);
    CHECK(std::is_constructible_v<Text, const char*>);
}

TEST_CASE("a field that was not set is not in the event") {
    events::Awkward event;
    event.to_text_ = events::Awkward::ToText::up;
    const auto json = json_of(event);
    CHECK_FALSE(event.is_complete());  // emit() would refuse it
    CHECK_FALSE(json.contains("bytes"));
    CHECK_FALSE(json.contains("presence"));
}
