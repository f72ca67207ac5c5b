#include <array>
#include <cerrno>
#include <limits>
#include <span>
#include <vector>

#include <awkward.event.hpp>
#include <nlohmann/json.hpp>
#include <order.event.hpp>

#include "schemas/text/record_json.hpp"
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

namespace {

/// With the fields that it must have.
events::Order small_order() {
    events::Order event;
    event.code = "c";
    event.total = 1;
    event.items = 1;
    event.kind = events::Order::Kind::web;
    return event;
}

nlohmann::json json_of(const events::Order& event) {
    return nlohmann::json::parse(line_of(event));
}

}  // namespace

TEST_CASE("arrays are the app's own containers, and become JSON with every value") {
    const std::vector<std::string> tags{"a\"b", "line\nfeed", "\x01", "caf\xc3\xa9", ""};
    const std::array<int, 3> counts{-1, 0, 7};
    const double weights[] = {0.5, -0.0, 1e300, std::numeric_limits<double>::infinity()};
    const std::vector<Decimal> prices{Decimal::scaled(1230, 2), Decimal("NaN"), Decimal(3)};
    const bool flags[] = {true, false};
    const std::vector<TimeUs> steps{{1}, {1'700'000'000'000'000}};
    events::Order event = small_order();
    event.tags = tags;
    event.counts = counts;
    event.weights = weights;
    event.prices = prices;
    event.flags = std::span(flags);
    event.steps = steps;
    const auto json = json_of(event);
    CHECK(json["tags"] == tags);
    CHECK(json["counts"] == counts);
    CHECK(json["weights"] == nlohmann::json::parse(R"([0.5,-0.0,1e300,"Infinity"])"));
    CHECK(json["prices"] == nlohmann::json{"12.30", "NaN", "3"});
    CHECK(json["flags"] == nlohmann::json{true, false});
    CHECK(json["steps"] == nlohmann::json{1, 1'700'000'000'000'000});
    const std::vector<std::string_view> none;
    event.tags = none;
    event.counts = JsonText{"[1,2]"};
    CHECK(json_of(event)["tags"] == nlohmann::json::array());
    CHECK(json_of(event)["counts"] == nlohmann::json{1, 2});
    event.tags.reset();
    CHECK_FALSE(json_of(event).contains("tags"));
}

TEST_CASE("objects are built key by key, and nobody writes JSON text") {
    JsonObject inner;
    inner.add("price", Decimal("12.30")).add("odd", Decimal("1e")).add("at", TimeUs{5});
    const std::vector<std::optional<int>> list{1, std::nullopt};
    JsonObject detail;
    detail.add("ip", "1.2.3.4").add("tries", 3).add("ratio", 0.25).add("ok", true);
    detail.add("none", nullptr).add("quo\"te", std::string("x\\y")).add("inner", inner);
    detail.add("list", list);
    events::Order event = small_order();
    event.detail = detail;
    CHECK(line_of(event).find(
              R"("detail":{"ip":"1.2.3.4","tries":3,"ratio":0.25,"ok":true,"none":null,)"
              R"("quo\"te":"x\\y","inner":{"price":12.30,"odd":"1e","at":5},"list":[1,null]})") !=
          std::string::npos);
    const std::string before(inner.text());
    inner.add("self", inner);
    CHECK(nlohmann::json::parse(inner.text())["self"] == nlohmann::json::parse(before));
    detail.clear();
    event.detail = detail;
    CHECK(json_of(event)["detail"] == nlohmann::json::object());

    JsonArray array;
    array.add(1).add("two").add(inner);
    event.list = array;
    CHECK(json_of(event)["list"].size() == 3);
    const JsonValue text("a \"text\"");
    event.any = text;
    CHECK(json_of(event)["any"] == "a \"text\"");
    event.any = detail;
    CHECK(json_of(event)["any"] == nlohmann::json::object());
    CHECK_FALSE(std::is_assignable_v<decltype(event.detail)&, JsonArray&>);
    CHECK_FALSE(std::is_assignable_v<decltype(event.list)&, JsonObject&>);
}

TEST_CASE("text of a typed event that is not UTF-8 is replaced, and counted wherever it stands") {
    const std::vector<std::string> tags{"\xff", "good", "b\xc3"};
    JsonObject detail;
    detail.add("k\xff", "v");
    events::Order event = small_order();
    event.note = "caf\xe9";
    event.tags = tags;
    event.detail = detail;
    std::vector<std::byte> record(event.record_bytes());
    event.write_record(record.data(), 1);
    const auto owned = OwnedDescriptor::copy_of(events::Order::kDescriptor);
    std::string line;
    std::size_t replaced = 0;
    REQUIRE(append_record_json(
                record, [&](std::uint32_t) { return &owned; }, line, &replaced) ==
            RecordError::none);
    CHECK(replaced == 4);
    const auto json = nlohmann::json::parse(line);
    CHECK(json["tags"][2] == "b\xef\xbf\xbd");
    CHECK(json["detail"]["k\xef\xbf\xbd"] == "v");
}
