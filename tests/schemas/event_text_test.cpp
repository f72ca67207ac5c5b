#include "schemas/text/event_text.hpp"

#include "schemas/text/json_text.hpp"
#include "schemas/text/record_json.hpp"
#include "schemas/text/rfc3339.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;
using Catch::Matchers::Contains;
using namespace std::string_literals;

namespace {

/// Why it is refused as an audit event; empty: it is taken.
std::string refusal(const std::string& json, const std::string& type = "audit",
                    std::int64_t time_us = 0) {
    EventText text = read_event_text(json);
    if (text.fault == EventFault::none) judge_event(text, type, time_us);
    CHECK(text.at <= json.size());
    return explain(text);
}

std::string with(const std::string& fields) {
    return "{\"actor\":\"a\"," + fields + "}";
}

/// A record as emit_json() writes it.
std::string line_of(const std::string& type, const std::string& object) {
    std::vector<std::byte> record(kRecordHeaderBytes + 2 + type.size() + object.size());
    std::byte* at = put_raw(record.data(), std::uint32_t{0});
    at = put_raw(at, std::int64_t{1'790'000'000'000'000});
    at = put_raw(at, static_cast<std::uint16_t>(type.size()));
    std::memcpy(at, type.data(), type.size());
    std::memcpy(at + type.size(), object.data(), object.size());
    std::string line;
    REQUIRE(append_record_json(
                record, [](std::uint32_t) { return nullptr; }, line) == RecordError::none);
    return line;
}

}  // namespace

TEST_CASE("an event's own time is read, and one that cannot be is refused in words") {
    for (const char* time : {R"("2026-11-24T10:00:00Z")", R"("2026-11-24 11:00:00+01:00")",
                             R"("\u0032026-11-24T10:00:00.000000Z")", "1795514400000000"}) {
        const std::string json = with("\"time\":"s + time);
        const EventText text = read_event_text(json);
        INFO(time);
        CHECK(explain(text) == "");
        CHECK(text.has_time);
        CHECK(text.time_us == 1'795'514'400'000'000);
    }
    for (const char* time : {R"("yesterday")", R"("2026-11-24")", R"("1795514400000000")", "1.5",
                             "null", "{}", "1e15", "99999999999999999999", "true"}) {
        INFO(time);
        CHECK_THAT(refusal(with("\"time\":"s + time)), Contains(time) && Contains("RFC 3339"));
    }
    CHECK(refusal(with("\"time\":1795935675000")) ==
          "\"time\" 1795935675000 read as microseconds is 1970-01-21T18:52:15Z; it looks like "
          "milliseconds: send microseconds since 1970-01-01 UTC, or RFC 3339 text");
    CHECK_THAT(refusal(with("\"time\":1795935675")), Contains("looks like seconds"));
    CHECK_THAT(refusal(with("\"time\":1795935675000000000")), Contains("looks like nanoseconds"));
    CHECK_THAT(refusal(with("\"a\":1"), "audit", 1'795'935'675'000), Contains("milliseconds"));
    CHECK(refusal(with("\"time\":1795514400000000"), "audit", 1'795'514'400'000'000) == "");
    CHECK_THAT(refusal(with("\"time\":1795514400000000"), "audit", 1'795'514'400'000'001),
               Contains("give one of them"));
}

TEST_CASE("an event goes out under the type that it names, and under no reserved one") {
    CHECK(refusal(with(R"("type":"audit")")) == "");
    CHECK(refusal(with(R"("type":"\u0061udit")")) == "");
    CHECK_THAT(refusal(with(R"("type":"metric")")), Contains("names the type \"metric\""));
    CHECK_THAT(refusal(with(R"("type":7)")), Contains("not a string"));
    CHECK_THAT(refusal(with(R"("a":1)"), ""), Contains("no type"));
    CHECK_THAT(refusal(with(R"("a":1)"), "homeward.tombstone"), Contains("reserved"));
    CHECK_THAT(refusal(with(R"("type":"homeward.tombstone")")), Contains("homeward.tombstone"));
    for (const char* name : {"Order.Viewed", "order-viewed", "1st", "_a", "Audit", "audit "}) {
        CHECK_THAT(refusal("{}", name), Contains("can never be an event type"));
    }
    CHECK_THAT(refusal("{}", std::string(49, 'a')), Contains("48 characters"));
    CHECK(refusal("{}", std::string(48, 'a')) == "");
}

TEST_CASE("a duplicate key is found however it is spelled, and named with its place") {
    CHECK(refusal(R"({"a":1,"b":2,"a":3})") == "duplicate key \"a\" (byte 13)");
    CHECK_THAT(refusal(R"({"time":1795514400000000,"time":1795514400000000})"),
               Contains("duplicate key \"time\""));
    CHECK_THAT(refusal(R"({"a":1,"\u0061":2})"), Contains("duplicate key \"\\u0061\""));
    CHECK_THAT(refusal(R"({"":1,"":2})"), Contains("duplicate key \"\""));
    CHECK_THAT(refusal("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}"), Contains("duplicate"));
    CHECK_THAT(refusal("{\"\xc3\xa9\":1,\"\\u00e9\":2}"), Contains("duplicate"));
    // NUL becomes U+FFFD on the leader.
    CHECK_THAT(refusal("{\"a\\u0000\":1,\"a\xef\xbf\xbd\":2}"), Contains("duplicate"));
    CHECK(refusal(R"({"a":1,"A":2,"aa":3,"":4," a":5,"\"":6,"\\":7,"\n":8,"b":{"a":1}})") == "");
    std::string keys = "{";
    for (int i = 0; i < 500; ++i) keys += "\"k" + std::to_string(i) + "\":1,";
    CHECK(refusal(keys + "\"k500\":1}") == "");
    CHECK_THAT(refusal(keys + "\"k250\":1}"), Contains("duplicate key \"k250\""));
}

TEST_CASE("what is no JSON is refused with the true reason and its place") {
    CHECK_THAT(refusal(with("\"a\":NaN")), Contains("NaN (byte 17)") && Contains("send null"));
    CHECK_THAT(refusal(with("\"a\":-Infinity")), Contains("-Infinity"));
    CHECK_THAT(refusal(with("\"a\":[1,Infinity]")), Contains("Infinity"));
    CHECK_THAT(refusal(with(R"("a":"\ud800")")), Contains("lone surrogate \\ud800"));
    CHECK_THAT(refusal(with(R"("a":"\udc00\ud800")")), Contains("lone surrogate \\udc00"));
    CHECK_THAT(refusal(with("\"a\":\"caf\xe9\"")), Contains("0xe9") && Contains("Latin-1"));
    CHECK_THAT(refusal("\xef\xbb\xbf{}"), Contains("byte order mark"));
    CHECK_THAT(refusal(with("\"a\":01")), Contains("01 (byte 17)"));
    CHECK_THAT(refusal(with("\"a\":1.")), Contains("1. "));
    CHECK_THAT(refusal(with("\"a\":\"x\ty\"")), Contains("0x09"));
    CHECK_THAT(refusal(with(R"("a":"\x")")), Contains("\\x"));
    CHECK_THAT(refusal("{\"a\":1"), Contains("ends before"));
    CHECK_THAT(refusal("{'a':1}"), Contains("unexpected \"'\" (byte 1)"));
    CHECK_THAT(refusal("{\"a\":1}x"), Contains("unexpected \"x\""));
    CHECK_THAT(refusal("[1]"), Contains("not a JSON object"));
    CHECK_THAT(refusal(""), Contains("not a JSON object"));
    CHECK_THAT(refusal("{\"a\":" + std::string(2'000, '[') + std::string(2'000, ']') + "}"),
               Contains("deep"));
    CHECK(refusal(R"({"a":[{},[],[{"b":[1,-0,1e400,"\ud83d\ude00",null,true,false]}]]})") == "");
}

TEST_CASE("required keys are found in any order, and null is none") {
    constexpr std::string_view kKeys[] = {"actor", "action", "outcome"};
    const auto present = [&](const std::string& json) {
        return read_event_text(json, kKeys).present;
    };
    CHECK(present(R"({"actor":"a","action":"b","outcome":"c"})") == 7);
    CHECK(present(R"({"outcome":"c","x":1,"action":"b"})") == 6);
    CHECK(present(R"({"actor":null,"\u0061ction":""})") == 2);
    CHECK(present("{}") == 0);
}

TEST_CASE("a line has one time: the event's own, or the one that it was emitted at") {
    CHECK(line_of("audit", R"({"actor":"a"})") ==
          R"({"type":"audit","time":1790000000000000,"actor":"a"})");
    CHECK(line_of("audit", R"({"actor":"a","time":"2026-11-24T10:00:00Z"})") ==
          R"({"type":"audit","actor":"a","time":"2026-11-24T10:00:00Z"})");
    CHECK(line_of("audit", R"( { "t\u0069me" : 1 } )") == R"({"type":"audit", "t\u0069me" : 1 } )");
    CHECK(line_of("audit", R"({"detail":{"time":1},"b":"time"})") ==
          R"({"type":"audit","time":1790000000000000,"detail":{"time":1},"b":"time"})");
    // What a spool of version 0.1.0 may hold must not become a tombstone.
    CHECK(line_of("homeward.tombstone", R"({"reason":"x","count":100})").substr(0, 29) ==
          R"({"type":"!homeward.tombstone")");
}

TEST_CASE("fractions of a second are rounded, and times are written for an operator") {
    CHECK(parse_rfc3339("1970-01-01T00:00:00.1234565Z") == 123'456);  // 123456.49999999999
    CHECK(parse_rfc3339("1970-01-01T00:00:00.1234567Z") == 123'457);
    CHECK(parse_rfc3339("1970-01-01T00:00:00.9999999Z") == 1'000'000);
    CHECK(parse_rfc3339("1970-01-01T00:00:00." + std::string(5'000, '9') + "Z") == 1'000'000);
    CHECK(to_rfc3339(0) == "1970-01-01T00:00:00Z");
    CHECK(to_rfc3339(-1) == "1969-12-31T23:59:59Z");
    CHECK(to_rfc3339(1'795'514'400'000'000) == "2026-11-24T10:00:00Z");
    CHECK_THAT(to_rfc3339(INT64_MAX), Contains("294247-01-10T04:00:54Z"));
    CHECK_FALSE(to_rfc3339(INT64_MIN).empty());
}

TEST_CASE("every finite double reads back as the same double, and never as an integer too large") {
    const auto text_of = [](double value) {
        std::string text;
        append_json_number(text, value);
        return text;
    };
    CHECK(text_of(-0.0) == "-0.0");
    CHECK(text_of(0.0) == "0");
    CHECK(text_of(18446744073709551616.0) == "1.8446744073709552e+19");
    CHECK(text_of(-9223372036854775808.0 * 2) == "-1.8446744073709552e+19");
    CHECK(text_of(1e22) == "1e+22");
    CHECK(text_of(9007199254740993.0) == "9007199254740992");
    for (double value = 1; value < 1e300; value *= 7.3) {
        for (const double one : {value, -value, 1 / value}) {
            const std::string text = text_of(one);
            CHECK(std::strtod(text.c_str(), nullptr) == one);
            const bool is_whole = text.find_first_of(".e") == std::string::npos;
            CHECK((!is_whole || std::abs(one) < 9.2e18));
        }
    }
}
