#include "schemas/types/event_type.hpp"

#include "schemas/types/embedded.hpp"
#include "schemas/types/generator/event_header.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

/// A whole event type with `property` as its only field's content, on line 5.
std::string type_with(const std::string& property, const std::string& more = "") {
    return "{\n\"title\": \"order\",\n\"type\": \"object\",\n\"properties\": {\n\"item\": {" +
           property + "}},\n" + more +
           "\"x-homeward\": {\"class\": \"audit\", \"table\": \"order_events\"}}";
}

std::string refusal(const std::string& text) {
    try {
        parse_event_type(text, "order.json");
        return "";
    } catch (const SchemaError& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the event types that ship are understood") {
    REQUIRE(shipped_event_types().size() == 3);
    for (const auto& shipped : shipped_event_types()) {
        CHECK(parse_event_type(shipped.json, shipped.name).name == shipped.name);
    }
}

TEST_CASE("a keyword that is not implemented is refused with its name and line") {
    const std::string what = refusal(type_with("\"type\": \"string\",\n\"pattern\": \"x\""));
    CHECK(contains(what, "order.json:6: "));
    CHECK(contains(what, "\"pattern\""));
    CHECK(
        contains(refusal(type_with("\"type\": \"string\"", "\"allOf\": [],\n")), "order.json:6: "));
    CHECK(
        contains(refusal(type_with("\"type\": \"string\", \"x-homeward\": {\"colum\": \"text\"}")),
                 "\"colum\""));
}

TEST_CASE("what JSON Schema would silently ignore is refused") {
    CHECK(contains(refusal(type_with("\"type\": \"integer\", \"maxLength\": 3")), "maxLength"));
    CHECK(contains(refusal(type_with("\"type\": \"string\", \"minimum\": 3")), "minimum"));
    CHECK(contains(refusal(type_with("\"type\": \"string\", \"format\": \"email\"")), "email"));
    CHECK(contains(refusal(type_with("\"type\": \"string\"", "\"required\": [\"itme\"],\n")),
                   "itme"));
    CHECK(contains(refusal(type_with("\"type\": \"string\"", "\"additionalProperties\": false,\n")),
                   "additionalProperties"));
    CHECK(contains(refusal(type_with("\"type\": \"string\", \"type\": \"integer\"")),
                   "duplicate key"));
}

TEST_CASE("names that could become SQL are refused") {
    std::string text = type_with("\"type\": \"string\"");
    text.replace(text.find("order_events"), 12, "x; drop table y");
    CHECK(contains(refusal(text), "table"));
    text = type_with("\"type\": \"string\"");
    text.replace(text.find("item"), 4, "seq");
    CHECK(contains(refusal(text), "taken by Homeward"));
}

TEST_CASE("broken JSON is refused with its line") {
    CHECK(contains(refusal("{\n\"title\": \n}"), "order.json:3: "));
}

TEST_CASE("a column that cannot hold the field's values is refused") {
    CHECK(contains(
        refusal(type_with("\"type\": \"string\", \"x-homeward\": {\"column\": \"bigint\"}")),
        "bigint"));
    const EventType type = parse_event_type(
        type_with("\"type\": \"integer\", \"x-homeward\": {\"column\": \"smallint\"}"),
        "order.json");
    CHECK(type.fields[0].column == ColumnType::int2);
}

TEST_CASE("a generated struct has the type's fields, and no keyword for a name") {
    const EventType type = parse_event_type(
        type_with("\"type\": \"string\", \"enum\": [\"new\", \"paid\"]"), "order.json");
    const std::string header = generate_event_header(type, "order.json");
    CHECK(contains(header, "struct Order {"));
    CHECK(contains(header, "enum class Item : std::uint8_t { new_, paid };"));
}
