// Fields into columns: what each kind takes, what it refuses and how it says so, and the exact
// bytes that binary COPY carries (PostgreSQL's documentation of COPY, and the *_recv functions).

#include <cmath>

#include "consumer/decode/column_value.hpp"
#include "consumer/decode/copy_row.hpp"
#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;
using namespace std::string_literals;

namespace {

/// Whether every sequence of it is UTF-8; what is not, PostgreSQL would refuse.
bool is_utf8(const std::string& text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (lead >= 0x80 && lead < 0xc2) return false;
        for (std::size_t next = i + 1; next < i + length; ++next) {
            if (next >= text.size()) return false;
            if ((static_cast<unsigned char>(text[next]) & 0xc0) != 0x80) return false;
        }
        i += length;
    }
    return true;
}

/// A numeric as PostgreSQL sends it: digits in groups of four.
std::string numeric(std::int16_t weight, std::uint16_t sign, std::uint16_t scale,
                    const std::vector<int>& groups) {
    std::string bytes = big_endian(groups.size(), 2) +
                        big_endian(static_cast<std::uint16_t>(weight), 2) + big_endian(sign, 2) +
                        big_endian(scale, 2);
    for (int group : groups) bytes += big_endian(static_cast<std::uint64_t>(group), 2);
    return bytes;
}

std::string numeric_of(std::string_view text) {
    std::string out;
    REQUIRE(append_numeric(text, out));
    return out;
}

std::string inet_of(std::string_view text) {
    std::string out;
    return append_inet(text, out) ? out : "refused";
}

}  // namespace

TEST_CASE("each kind of field takes what it can hold and refuses the rest by name") {
    SampleDecoder decoder;
    CHECK(decoder.field(R"("small":-32768)") == "");
    CHECK_THAT(decoder.field(R"("small":32768)"), Contains("\"small\" is beyond smallint"));
    CHECK_THAT(decoder.field(R"("medium":2147483648)"), Contains("beyond integer"));
    CHECK(decoder.field(R"("large":9223372036854775807)") == "");
    CHECK_THAT(decoder.field(R"("large":9223372036854775808)"), Contains("beyond bigint"));
    CHECK_THAT(decoder.field(R"("large":1.5)"), Contains("not a whole number"));
    CHECK_THAT(decoder.field(R"("large":"1")"), Contains("not a whole number"));
    CHECK_THAT(decoder.field(R"("real4":1e39)"), Contains("\"real4\" is beyond real"));
    CHECK(decoder.field(R"("real4":"Infinity")") == "");
    CHECK(decoder.field(R"("real8":"NaN")") == "");
    CHECK(decoder.field(R"("real8":"-Infinity")") == "");
    CHECK_THAT(decoder.field(R"("real8":"nan")"), Contains("not a number"));
    CHECK_THAT(decoder.field(R"("real8":"1.5")"), Contains("not a number"));
    CHECK(decoder.field(R"("exact":"NaN")") == "");
    CHECK_THAT(decoder.field(R"("exact":"nan")"), Contains("not a decimal number"));
    CHECK_THAT(decoder.field(R"("flag":1)"), Contains("not true or false"));
    CHECK_THAT(decoder.field(R"("flag":"true")"), Contains("not true or false"));
    CHECK_THAT(decoder.field(R"("name":"123456789012345678901")"), Contains("20 characters"));
    CHECK(decoder.field("\"name\":\"éééééééééééééééééééé\"") == "");
    CHECK_THAT(decoder.field(R"("id":"123")"), Contains("not a UUID"));
    CHECK_THAT(decoder.field(R"("address":"10.0.0.256")"), Contains("not an IP address"));
    CHECK_THAT(decoder.field(R"("names":"a")"), Contains("not an array"));
    CHECK_THAT(decoder.field(R"("names":[1])"), Contains("not a string"));
    CHECK_THAT(decoder.field(R"("names":[["a"]])"), Contains("not a string"));
    CHECK_THAT(decoder.field(R"("at":"yesterday")"), Contains("RFC 3339"));
    CHECK_THAT(decoder.field(R"("at":"294277-01-01T00:00:00Z")"), Contains("RFC 3339"));
    CHECK_THAT(decoder.field(R"("at":-210866803200000001)"), Contains("cannot hold"));
    CHECK(decoder.field(R"("at":9223372036854775807)") == "");
    CHECK(decoder.field(R"("name":null,"small":null,"ids":null,"body":null)") == "");
}

TEST_CASE("an event's own time must be near now, since every day is a partition") {
    SampleDecoder decoder;
    CHECK(decoder.field("\"time\":" + std::to_string(kNowUs - 3'000 * kDayUs)) == "");
    CHECK_THAT(decoder.field("\"time\":1"), Contains("too far from now"));
    CHECK_THAT(decoder.field("\"time\":" + std::to_string(kNowUs + 3 * kDayUs)),
               Contains("too far from now"));
    CHECK_THAT(decoder.field("\"time\":9223372036854775807"), Contains("nanoseconds"));
    CHECK_THAT(decoder.field("\"time\":1795935675000"), Contains("looks like milliseconds"));
    CHECK_THAT(decoder.field("\"time\":1795935675"), Contains("looks like seconds"));
    CHECK_THAT(decoder.field("\"time\":-9223372036854775808"), Contains("too far from now"));
    CHECK_THAT(decoder.field("\"time\":1.5"), Contains("neither"));
    CHECK_THAT(decoder.field("\"time\":null"), Contains("neither"));
    CHECK_THAT(decoder.field("\"time\":\"soon\""), Contains("RFC 3339"));
    CHECK_THAT(decoder.field("\"time\":\"294277-01-09T04:00:54Z\""), Contains("RFC 3339"));
}

TEST_CASE("an event older than its type is kept is refused, and the reason names the retention") {
    // Method: of two types that differ in nothing else, one is kept for 30 days.
    std::vector<homeward::EventType> types = homeward::load_event_types(HOMEWARD_SAMPLE_TYPES);
    types.resize(1);
    types.push_back(types[0]);
    types[1].name = "brief";
    types[1].retention_days = 30;
    EventDecoder decoder(std::make_shared<const Catalog>(types), {3'650 * kDayUs, 2 * kDayUs});
    const auto reason = [&](const std::string& type, std::int64_t days_ago) {
        std::string line = R"({"type":")" + type + R"(","time":)" +
                           std::to_string(kNowUs - days_ago * kDayUs) + "}";
        line.reserve(line.size() + EventDecoder::padding());
        std::string rows;
        return decoder.decode(line, {1, 2, kNowUs}, kNowUs, rows).reason;
    };
    CHECK(reason("brief", 30) == "");
    CHECK_THAT(reason("brief", 31),
               Contains("more than 30 days ago; rows of type \"brief\" are kept no longer") &&
                   !Contains("past_max_days"));
    CHECK(reason("sample", 31) == "");
    CHECK_THAT(reason("sample", 3'651),
               Contains("more than 3650 days ago; see schema.past_max_days"));
}

TEST_CASE("numbers and times stand in the row as PostgreSQL reads them") {
    SampleDecoder decoder;
    CHECK(decoder.value("small", "-2") == "\xff\xfe");
    CHECK(decoder.value("medium", "66051") == "\0\1\2\3"s);
    CHECK(decoder.value("large", "-9223372036854775808") == "\x80\0\0\0\0\0\0\0"s);
    CHECK(decoder.value("real4", "1.5") == "\x3f\xc0\0\0"s);
    CHECK(decoder.value("real4", "-0.5") == "\xbf\0\0\0"s);
    CHECK(decoder.value("real8", "-2") == "\xc0\0\0\0\0\0\0\0"s);
    CHECK(decoder.value("real8", "\"-Infinity\"") == "\xff\xf0\0\0\0\0\0\0"s);
    CHECK(decoder.value("flag", "true") == "\1");
    CHECK(decoder.value("flag", "false") == "\0"s);
    CHECK(decoder.value("at", "\"2000-01-01T00:00:00Z\"") == big_endian(0, 8));
    CHECK(decoder.value("at", "\"2000-01-02T01:00:00.000001+01:00\"") ==
          big_endian(static_cast<std::uint64_t>(kDayUs + 1), 8));
    CHECK(decoder.value("at", "946684799999999") == big_endian(UINT64_MAX, 8));
    CHECK(decoder.value("exact", "12") == numeric(0, 0, 0, {12}));
    CHECK(decoder.value("exact", "-0.5") == numeric(-1, 0x4000, 1, {5000}));
}

TEST_CASE("UUIDs are 16 bytes however they are written, and nothing else is one") {
    SampleDecoder decoder;
    const std::string bytes = "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"s;
    CHECK(decoder.value("id", "\"00112233-4455-6677-8899-aabbccddeeff\"") == bytes);
    CHECK(decoder.value("id", "\"00112233-4455-6677-8899-AABBCCDDEEFF\"") == bytes);
    CHECK(decoder.value("id", "\"00112233445566778899aabbccddeeff\"") == bytes);
    for (const std::string text :
         {"", "0011223344556677-8899-aabb-ccddeeff", "{00112233-4455-6677-8899-aabbccddeeff}",
          "00112233-4455-6677-8899-aabbccddeefg", "00112233-4455-6677-8899-aabbccddeeff ",
          "00112233_4455_6677_8899_aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef"}) {
        INFO(text);
        CHECK_THAT(decoder.field("\"id\":\"" + text + "\""), Contains("not a UUID"));
    }
}

TEST_CASE("addresses of both families, with and without a prefix, and nothing else") {
    CHECK(inet_of("10.1.2.3") == "\2\x20\0\4\x0a\1\2\3"s);
    CHECK(inet_of("10.1.2.3/8") == "\2\x08\0\4\x0a\1\2\3"s);
    CHECK(inet_of("0.0.0.0/0") == "\2\0\0\4\0\0\0\0"s);
    CHECK(inet_of("::1") == "\3\x80\0\x10"s + std::string(15, '\0') + "\1");
    CHECK(inet_of("2001:db8::/32").substr(0, 8) == "\3\x20\0\x10\x20\x01\x0d\xb8"s);
    CHECK(inet_of("::ffff:10.0.0.1") != "refused");
    for (const std::string& text :
         {""s, "10.0.0"s, "10.0.0.1.2"s, "010.0.0.1"s, "10.0.0.1/33"s, "10.0.0.1/-1"s, "10.0.0.1/"s,
          "10.0.0.1/8/8"s, "10.0.0.1 "s, " 10.0.0.1"s, "0x0a.0.0.1"s, ":::1"s, "1::2::3"s,
          "fe80::1%eth0"s, "::1/129"s, "localhost"s, "10.0.0.1\0junk"s, "::1\0"s, "/8"s}) {
        INFO(text);
        CHECK(inet_of(text) == "refused");
    }
}

TEST_CASE("numeric keeps every digit and the scale that was written") {
    CHECK(numeric_of("0") == numeric(0, 0, 0, {}));
    CHECK(numeric_of("-0.00") == numeric(0, 0, 2, {}));
    CHECK(numeric_of("1") == numeric(0, 0, 0, {1}));
    CHECK(numeric_of("10000") == numeric(1, 0, 0, {1}));
    CHECK(numeric_of("123456.789") == numeric(1, 0, 3, {12, 3456, 7890}));
    CHECK(numeric_of("-0.0001") == numeric(-1, 0x4000, 4, {1}));
    CHECK(numeric_of("0.00001") == numeric(-2, 0, 5, {1000}));
    CHECK(numeric_of("1.50") == numeric(0, 0, 2, {1, 5000}));
    CHECK(numeric_of("1e10") == numeric(2, 0, 0, {100}));
    CHECK(numeric_of("1.5E-3") == numeric(-1, 0, 4, {15}));
    CHECK(numeric_of("1e308").substr(0, 4) == big_endian(1, 2) + big_endian(77, 2));
    CHECK(numeric_of("0001") == numeric(0, 0, 0, {1}));
    CHECK(numeric_of("NaN") == numeric(0, 0xc000, 0, {}));
    CHECK(numeric_of("-Infinity") == numeric(0, 0xf000, 0, {}));
    CHECK(numeric_of("1e131071") == numeric(32'767, 0, 0, {1000}));
    CHECK(numeric_of("1e-16383") == numeric(-4'096, 0, 16'383, {10}));
    std::string out;
    for (const char* text : {"", "-", ".", "e5", "1e", "1e131072", "1e-16384", "1.2.3", "+1", "1 ",
                             "nan", "0x1", "--1", "1e99999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(append_numeric(text, out));
    }
}

TEST_CASE("RFC 3339 is read to the microsecond, with any offset, and nothing else is a time") {
    CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
    CHECK(parse_rfc3339("1970-01-01t00:00:00z") == 0);
    CHECK(parse_rfc3339("1970-01-01 00:00:00.123456789Z") == 123'457);
    CHECK(parse_rfc3339("1970-01-01T05:30:00+05:30") == 0);
    CHECK(parse_rfc3339("1969-12-31T23:00:00-01:00") == 0);
    CHECK(parse_rfc3339("2016-12-31T23:59:60Z") == parse_rfc3339("2017-01-01T00:00:00Z"));
    CHECK(parse_rfc3339("2024-02-29T00:00:00Z").has_value());
    CHECK(parse_rfc3339("0000-01-01T00:00:00Z").has_value());
    CHECK(parse_rfc3339("9999-12-31T23:59:59.999999Z").has_value());
    for (const char* text : {"",
                             "2023-02-29T00:00:00Z",
                             "2023-13-01T00:00:00Z",
                             "2023-00-01T00:00:00Z",
                             "2023-01-00T00:00:00Z",
                             "2023-01-01T24:00:00Z",
                             "2023-01-01T00:60:00Z",
                             "2023-01-01T00:00:61Z",
                             "2023-01-01T00:00:00",
                             "2023-01-01T00:00Z",
                             "2023-01-01",
                             "2023-1-1T00:00:00Z",
                             "2023-01-01T00:00:00.Z",
                             "2023-01-01T00:00:00+24:00",
                             "2023-01-01T00:00:00+0100",
                             "2023-01-01T00:00:00ZZ",
                             "-2023-01-01T00:00:00Z",
                             "+10000-01-01T00:00:00Z",
                             "10000-01-01T00:00:00Z",
                             "294277-01-01T00:00:00Z",
                             "2023-01-01T00:00:00Z ",
                             "now",
                             "infinity",
                             "1700000000"}) {
        INFO(text);
        CHECK_FALSE(parse_rfc3339(text).has_value());
    }
}

TEST_CASE("arrays carry their element type, their nulls and nothing of a second dimension") {
    SampleDecoder decoder;
    constexpr std::uint64_t kText = 25, kInt8 = 20, kUuid = 2950;
    const auto head = [](std::uint64_t oid, std::uint64_t elements) {
        return big_endian(1, 4) + big_endian(1, 4) + big_endian(oid, 4) + big_endian(elements, 4) +
               big_endian(1, 4);
    };
    CHECK(decoder.value("names", "[]") ==
          big_endian(0, 4) + big_endian(1, 4) + big_endian(kText, 4));
    CHECK(decoder.value("names", R"(["a",null,""])") ==
          head(kText, 3) + big_endian(1, 4) + "a" + "\xff\xff\xff\xff" + big_endian(0, 4));
    CHECK(decoder.value("numbers", "[7]") == head(kInt8, 1) + big_endian(8, 4) + big_endian(7, 8));
    CHECK(decoder.value("ids", R"(["00000000-0000-0000-0000-000000000001"])") ==
          head(kUuid, 1) + big_endian(16, 4) + std::string(15, '\0') + "\1");
    CHECK_THAT(decoder.field(R"("numbers":[1,[2]])"), Contains("\"numbers\""));
    CHECK_THAT(decoder.field(R"("ids":["x"])"), Contains("not a UUID"));
    std::string many = "[1";
    for (int i = 1; i < 100'000; ++i) many += ",1";
    CHECK(decoder.value("numbers", many + "]").size() == 20 + 100'000 * 12);
}

TEST_CASE("NUL in text and in JSON becomes U+FFFD, and is counted") {
    SampleDecoder decoder;
    CHECK(decoder.value("name", R"("a\u0000b")") ==
          "a\xef\xbf\xbd"
          "b");
    CHECK(decoder.replaced_nuls() == 1);
    CHECK(decoder.value("body", R"({"k\u0000":"\\u0000\u0000"})") ==
          "\1{\"k\xef\xbf\xbd\":\"\\\\u0000\xef\xbf\xbd\"}");
    REQUIRE(decoder.field(R"("more\u0000":"x\u0000","b":["\u0000"])") == "");
    CHECK(decoder.extra() == "{\"more\xef\xbf\xbd\":\"x\xef\xbf\xbd\",\"b\":[\"\xef\xbf\xbd\"]}");
    CHECK(decoder.replaced_nuls() == 6);
    CHECK(decoder.value("names", R"(["\u0000"])").find('\xef') != std::string::npos);
}

TEST_CASE("keys that the type does not name go to extra, as they were") {
    SampleDecoder decoder;
    REQUIRE(decoder.field(R"("name":"a","more":[1, 2],"quo\"te":null)") == "");
    CHECK(decoder.extra() == R"({"more":[1, 2],"quo\"te":null})");
    REQUIRE(decoder.field(R"("extra":{"a":1},"origin":7,"seq":8)") == "");
    CHECK(decoder.extra() == R"({"extra":{"a":1},"origin":7,"seq":8})");
    CHECK(read_copy_row(decoder.rows)[0] == big_endian(1, 4));  // not what the event claims
    CHECK(read_copy_row(decoder.rows)[1] == big_endian(2, 8));
    REQUIRE(decoder.field(R"("name":"a")") == "");
    CHECK(decoder.extra() == "");
}

TEST_CASE("strings that break other programs pass through unharmed") {
    SampleDecoder decoder;
    for (const std::string text : {
             "'; DROP TABLE t; --",
             "${jndi:ldap://x}",
             "../../etc/passwd",
             "%s%n%x%p",
             "{1,2}",
             "NULL",
             "null",
             "undefined",
             "true",
             "1e309",
             "-",
             "--",
             "0",
             "-1",
             " ",
             "\xe2\x80\xae"
             "abc",
             "\xcc\x88\xcc\x88",
             "\xef\xbb\xbf",
             "\xe2\x80\x8b",
             "\xf0\x9f\x91\xa9\xe2\x80\x8d",
             "\xef\xbf\xbf",
             "\xf4\x8f\xbf\xbf",
             "\x7f",
             "<b>x</b>",
             "$(id)",
             "`id`",
             "a;b|c&d",
             "{{7*7}}",
             "\xc3\x9f\xc4\xb0",
             "Z\xcc\xb4\xcd\x81",
             "''",
             "$$x$$",
         }) {
        INFO(text);
        CHECK(decoder.value("name", "\"" + text + "\"") == text);
    }
    CHECK(decoder.value("name", R"("\\N")") == "\\N");  // NULL, to a COPY in text
    CHECK(decoder.value("name", R"("\\.\n")") == "\\.\n");
    CHECK(decoder.value("name", R"("\t\r\n\b\f\u001b")") == "\t\r\n\b\f\x1b");
}

TEST_CASE("a reason quotes a long value in whole characters, so that it can be kept itself") {
    SampleDecoder decoder;
    for (int shift = 0; shift < 4; ++shift) {
        std::string text(static_cast<std::size_t>(shift), 'x');
        for (int i = 0; i < 40; ++i) text += "\xf0\x9f\x98\x80";
        for (const std::string& fields : {"\"at\":\"" + text + "\"", "\"time\":\"" + text + "\"",
                                          "\"" + text + "\":1,\"" + text + "\":2"}) {
            const std::string reason = decoder.field(fields);
            INFO(reason);
            CHECK_FALSE(reason.empty());
            CHECK(is_utf8(reason));
        }
    }
}

TEST_CASE("an unknown type is told apart from a bad event") {
    SampleDecoder decoder;
    const EventOutcome other = decoder.decode("{\"type\":\"other\"}");
    CHECK(other.kind == EventOutcome::Kind::unknown);
    CHECK(other.type_name == "other");
    for (const std::string type :
         {"Sample", "sample ", "", "order.viewed", "homeward.x", "\"; drop table samples; --"}) {
        std::string json;
        for (char c : type) json += (c == '"' ? "\\\"" : std::string(1, c));
        const EventOutcome outcome = decoder.decode("{\"type\":\"" + json + "\"}");
        // No event type can ever have that name: waiting for it would be for ever.
        CHECK(outcome.kind == EventOutcome::Kind::bad);
        CHECK(outcome.type_name == type);
    }
}

TEST_CASE("a tombstone's count is believed only within its bounds") {
    SampleDecoder decoder;
    const auto kind = [&](const std::string& count) {
        return decoder
            .decode(R"({"type":"homeward.tombstone","reason":"dropped","count":)" + count + "}")
            .kind;
    };
    CHECK(kind("512") == EventOutcome::Kind::tombstone);
    CHECK(kind("4294967295") == EventOutcome::Kind::tombstone);
    CHECK(kind("0") == EventOutcome::Kind::bad);
    CHECK(kind("-1") == EventOutcome::Kind::bad);
    CHECK(kind("4294967296") == EventOutcome::Kind::bad);
    for (const char* no_number : {"1e99", "1.5", "\"3\"", "null", "[1]", "99999999999999999999"}) {
        CHECK(kind(no_number) == EventOutcome::Kind::bad);
    }
}

TEST_CASE("what surrounds the rows is what COPY's binary format asks for") {
    CHECK(copy_header() == "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"s);
    CHECK(copy_trailer() == "\xff\xff");
}
