#include "schemas/text/record_json.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "schemas/text/json_text.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

constexpr std::array<FieldDescriptor, 4> kFields{{{"text", RecordKind::text},
                                                  {"number", RecordKind::real},
                                                  {"count", RecordKind::integer},
                                                  {"json", RecordKind::json}}};
constexpr TypeDescriptor kType{"sample", EventClass::audit, kFields,
                               descriptor_hash("sample", EventClass::audit, kFields)};

std::vector<std::byte> record(std::string_view text, double number, std::string_view json) {
    std::vector<std::byte> bytes(1024 + text.size() + json.size());
    std::byte* at = put_raw(bytes.data(), kType.hash);
    at = put_raw(at, std::int64_t{1'700'000'000'000'000});
    at = put_raw(at, std::uint64_t{0b1011});  // without "count"
    at = put(put(put(at, text), number), JsonText{json});
    bytes.resize(static_cast<std::size_t>(at - bytes.data()));
    return bytes;
}

std::string render(const std::vector<std::byte>& bytes) {
    const OwnedDescriptor owned = OwnedDescriptor::copy_of(kType);
    std::string out;
    const auto find = [&](std::uint32_t hash) { return hash == owned.hash ? &owned : nullptr; };
    REQUIRE(append_record_json(bytes, find, out) == RecordError::none);
    return out;
}

}  // namespace

TEST_CASE("a record becomes JSON with every present field and no other") {
    const auto json = nlohmann::json::parse(render(record("a\"b\\c\x01", 1.5, "{\"k\":[1]}")));
    CHECK(json["type"] == "sample");
    CHECK(json["time"] == 1'700'000'000'000'000);
    CHECK(json["text"] == "a\"b\\c\x01");
    CHECK(json["number"] == 1.5);
    CHECK(json["json"]["k"][0] == 1);
    CHECK_FALSE(json.contains("count"));
}

TEST_CASE("text that is not UTF-8 still gives valid JSON") {
    for (const char* text :
         {"\xff", "a\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc0\xaf"}) {
        const auto json = nlohmann::json::parse(render(record(text, 0, "1")), nullptr, false);
        REQUIRE_FALSE(json.is_discarded());
        CHECK(json["text"].get<std::string>().find("\xef\xbf\xbd") != std::string::npos);
    }
}

TEST_CASE("an event stays one line whatever its JSON text holds") {
    CHECK(render(record("a\nb", 0, "{\n\"k\":\r\n1}")).find('\n') == std::string::npos);
    // What JSON forbids inside a string must not become what it allows.
    CHECK_FALSE(nlohmann::json::accept(render(record("a", 0, "{\"k\":\"one\ntwo\"}"))));
}

TEST_CASE("numbers that JSON does not have become strings") {
    CHECK(nlohmann::json::parse(render(record("", std::nan(""), "1")))["number"] == "NaN");
    CHECK(nlohmann::json::parse(render(record("", -INFINITY, "1")))["number"] == "-Infinity");
}

TEST_CASE("a record cut short anywhere is told, and leaves nothing behind") {
    const auto bytes = record("text", 1, "{}");
    const OwnedDescriptor owned = OwnedDescriptor::copy_of(kType);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        std::string out = "before";
        INFO(size);
        CHECK(append_record_json(
                  std::span(bytes).first(size), [&](std::uint32_t) { return &owned; }, out) ==
              RecordError::cut_short);
        CHECK(out == "before");
    }
}

TEST_CASE("a descriptor is read back as written, and not when it was altered") {
    const OwnedDescriptor owned = OwnedDescriptor::copy_of(kType);
    OwnedDescriptor read;
    REQUIRE(OwnedDescriptor::parse(owned.to_json(), read));
    CHECK(read.hash == kType.hash);
    CHECK(read.fields.size() == kFields.size());
    std::string altered = owned.to_json();
    altered.replace(altered.find("number"), 6, "numbel");
    CHECK_FALSE(OwnedDescriptor::parse(altered, read));
}

TEST_CASE("a character that needs escaping is found at every place of a text") {
    for (int c = 0; c < 0x80; ++c) {
        for (std::size_t place = 0; place < 20; ++place) {
            std::string text(20, 'x');
            text[place] = static_cast<char>(c);
            std::string json;
            append_json_string(json, text);
            CAPTURE(c, place, json);
            REQUIRE(nlohmann::json::parse(json).get<std::string>() == text);
        }
    }
}
