// The grammar of RFC 8259, section by section: what it forbids is never a row, what it allows is
// one however odd it looks, and what it leaves open has a stated answer.

#include "tests/consumer/decode/sample_decoder.hpp"
#include "tests/support/catch.hpp"

using namespace homeward::consumer;
using namespace homeward::testing;
using Catch::Matchers::Contains;
using namespace std::string_literals;

namespace {

/// A sample event whose unknown key "a" has this value.
std::string with_value(const std::string& json) {
    return R"({"type":"sample","a":)" + json + "}";
}

}  // namespace

TEST_CASE("structures that section 2 forbids are no events") {
    SampleDecoder decoder;
    for (const std::string line : {
             "",
             " ",
             "{",
             "}",
             "{\"type\"",
             "{\"type\":",
             "{\"type\":\"sample\"",
             "nul",
             "tru",
             "{\"type\":\"sample\"}}",
             "{\"type\":\"sample\"} {}",
             "{\"type\":\"sample\"},",
             "{\"type\":\"sample\"}]",
             "[{\"type\":\"sample\"}",
             "{\"type\":\"sample\"}x",
             "{'type':'sample'}",
             "{type:\"sample\"}",
             "{\"type\":\"sample\",}",
             "{,\"type\":\"sample\"}",
             "{\"type\" \"sample\"}",
             "{\"type\":\"sample\" \"a\":1}",
             "{\"type\"::\"sample\"}",
             "{\"type\":\"sample\";\"a\":1}",
             "{\"type\"=\"sample\"}",
             "{\"type\":\"sample\",,\"a\":1}",
             "{\"type\":\"sample\",\"a\"}",
             "{\"a\":}",
             "{:1}",
             "{\"type\":\"sample\" /* c */}",
             "{\"type\":\"sample\"} # c",
             "// c\n{}",
             "\xef\xbb\xbf{\"type\":\"sample\"}",  // a byte order mark (section 8.1)
             "\xff\xfe{\0\"\0",
             "{1:2}",
             "{null:1}",
             "{[]:1}",
             "<event/>",
             "type=sample",
             // white space is these four only: space, tab, line feed, carriage return
             "\xc2\xa0{\"type\":\"sample\"}",
             "{\"type\":\f\"sample\"}",
             "{\"type\":\v\"sample\"}",
             "{\"type\":\xe2\x81\xa0\"sample\"}",
             "{\"type\":\"sample\"\x1a}",
         }) {
        INFO(line);
        CHECK_THAT(decoder.refusal(line), Contains("not valid JSON"));
    }
}

TEST_CASE("values that sections 3 to 7 forbid are no events") {
    SampleDecoder decoder;
    for (const std::string value : {
             // literals
             "True",
             "TRUE",
             "nULL",
             "Null",
             "undefined",
             "truefalse",
             "nulll",
             "yes",
             "",
             // arrays and objects
             "[1,]",
             "[,1]",
             "[1 2]",
             "[1}",
             "{]",
             "[,]",
             "[1,,2]",
             "[",
             "]",
             "[[]",
             "[]]",
             "[1:2]",
             "{\"b\":1,}",
             "{\"b\"}",
             "{\"b\":1 \"c\":2}",
             "{{}}",
             "[\"\":1]",
             "[x]",
             // numbers
             "01",
             "-01",
             "+1",
             ".5",
             "-.5",
             "5.",
             "-5.",
             "1e",
             "1E+",
             "1e+-1",
             "1e1.5",
             "0x1F",
             "0b1",
             "0o7",
             "-",
             "--1",
             "- 1",
             "1 000",
             "1_000",
             "1,5",
             "1.2.3",
             "1e1e1",
             "NaN",
             "-NaN",
             "Infinity",
             "-Infinity",
             "inf",
             "1f",
             "1L",
             "\xef\xbc\x91",
             "00",
             "1/2",
             "1a",
             // strings
             "\"\t\"",
             "\"\n\"",
             "\"\x01\"",
             "\"\x1f\"",
             "\"\\x41\"",
             "\"\\a\"",
             "\"\\'\"",
             "\"\\0\"",
             "\"\\u\"",
             "\"\\u12\"",
             "\"\\u00G0\"",
             "\"\\U0041\"",
             "\"\\\"",
             "\"open",
             "'a'",
             "\"a\"b\"",
             "\"\\ \"",
             "\"\\\xe2\x82\xac\"",
             "`a`",
             "\"a\" \"b\"",
             "\\u0022a\\u0022",
             "a",
         }) {
        INFO(value);
        CHECK_THAT(decoder.refusal(with_value(value)), Contains("not valid JSON"));
    }
}

TEST_CASE("text that is not UTF-8 is no event, as section 8.1 asks for UTF-8") {
    SampleDecoder decoder;
    for (const std::string bytes : {
             "\x80",
             "\xbf",
             "\xff",
             "\xfe",
             "\xc0\x80",
             "\xc0\xaf",
             "\xc1\xbf",
             "\xe2\x82",
             "\xe2",
             "\xe0\x80\xaf",
             "\xe0\x9f\xbf",
             "\xed\xa0\x80",
             "\xed\xbf\xbf",
             "\xed\xa0\xbd\xed\xb8\x80",
             "\xf0\x80\x80\xaf",
             "\xf0\x8f\xbf\xbf",
             "\xf4\x90\x80\x80",
             "\xf5\x80\x80\x80",
             "\xf8\x88\x80\x80\x80",
             "a\xcc",
             "\xc3\xc3\xa9",
             "caf\xe9",
         }) {
        INFO(bytes);
        CHECK_THAT(decoder.refusal(with_value("\"" + bytes + "\"")), Contains("not valid JSON"));
        CHECK_THAT(decoder.refusal("{\"type\":\"sample\",\"" + bytes + "\":1}"),
                   Contains("not valid JSON"));
        CHECK_FALSE(decoder.refusal("{\"type\":\"" + bytes + "\"}").empty());
    }
}

TEST_CASE("a lone surrogate, which no text can hold, is refused in keys and values") {
    SampleDecoder decoder;
    for (const std::string text :
         {"\\uD800", "\\udfff", "\\uDC00\\uD800", "\\uD800\\u0041", "\\uD83D", "\\uD83D\\uD83D",
          "\\uD800\\n", "\\uD800x", "\\uDEAD\\uDEAD", "x\\ud83d", "\\ud83d\\\\ude00",
          "\\ud83d\\u12"}) {
        INFO(text);
        CHECK_THAT(decoder.refusal(with_value("\"" + text + "\"")), Contains("not valid JSON"));
        CHECK_THAT(decoder.field("\"name\":\"" + text + "\""), Contains("not valid JSON"));
        CHECK_THAT(decoder.field("\"" + text + "\":1"), Contains("not valid JSON"));
        CHECK_FALSE(decoder.refusal("{\"type\":\"" + text + "\"}").empty());
    }
}

TEST_CASE("a NUL byte, and whatever else stands behind it, is no JSON") {
    SampleDecoder decoder;
    CHECK_FALSE(decoder.refusal(std::string("{\"type\":\"sample\"}\0x", 19)).empty());
    CHECK_FALSE(decoder.refusal(std::string("{\"type\":\"sample\"}\0", 18)).empty());
    CHECK_FALSE(decoder.refusal(std::string("{\"type\":\"sam\0ple\"}", 18)).empty());
    CHECK_FALSE(decoder.refusal(std::string("\0{\"type\":\"sample\"}", 18)).empty());
}

TEST_CASE("a number is refused only by a column that cannot hold it") {
    SampleDecoder decoder;
    for (const std::string number :
         {"1e400", "-1e400", "123456789012345678901234", "-9223372036854775809", "1e-400"}) {
        INFO(number);
        CHECK(decoder.refusal(with_value(number)) == "");
        CHECK(decoder.extra() == "{\"a\":" + number + "}");
        CHECK(decoder.field("\"exact\":" + number) == "");
        CHECK(decoder.field("\"body\":{\"a\":[" + number + ",1]},\"large\":7") == "");
        CHECK_FALSE(decoder.field("\"large\":" + number).empty());
        const bool is_double = number.find('e') == std::string::npos;
        CHECK((decoder.field("\"real8\":" + number) == "") == is_double);
    }
    CHECK(decoder.value("real8", "18446744073709551616") == "\x43\xf0\0\0\0\0\0\0"s);
    CHECK(decoder.value("real8", "-0") == "\x80\0\0\0\0\0\0\0"s);
    CHECK(decoder.value("real8", "-0.0") == "\x80\0\0\0\0\0\0\0"s);
    CHECK(decoder.value("real4", "-0") == "\x80\0\0\0"s);
    // Its double is halfway between two floats, and the number itself is not.
    CHECK(decoder.value("real4", "1.00000005960464477539062500000000000000001") == "\x3f\x80\0\1"s);
    for (const std::string number : {"1e999999999999", "1e131072", "1e-16384", "-1e200000"}) {
        INFO(number);
        CHECK_THAT(decoder.refusal(with_value(number)), Contains("beyond what jsonb holds"));
        CHECK_THAT(decoder.field("\"body\":{\"a\":" + number + "}"), Contains("beyond"));
        CHECK_THAT(decoder.field("\"exact\":" + number), Contains("131072 digits"));
    }
    CHECK_THAT(decoder.field("\"exact\":\"" + std::string(131'073, '1') + "\""),
               Contains("131072 digits"));
    CHECK_THAT(decoder.refusal("{\"type\":\"sample\",\"a\":NaN}"), Contains("send null"));
}

TEST_CASE("a field of type object takes objects, and a NUL in a key is seen before duplicates") {
    SampleDecoder decoder;
    for (const char* scalar : {"1", "\"a\"", "true", "[]", "1e400"}) {
        CHECK_THAT(decoder.field("\"body\":"s + scalar), Contains("\"body\" is not an object"));
    }
    CHECK(decoder.field("\"body\":null") == "");
    CHECK_THAT(decoder.field("\"a\\u0000\":1,\"a\xef\xbf\xbd\":2"), Contains("duplicate key"));
}

TEST_CASE("what RFC 8259 allows, however odd, is an event") {
    SampleDecoder decoder;
    for (const std::string line : {
             " { \"type\" : \"sample\" } ",
             "\t{\"type\":\"sample\"}\r",
             "\r\r{\"type\"\t:\r\"sample\"}\t",
             "{\"\\u0074ype\":\"sample\"}",
             "{\"type\":\"s\\u0061mple\"}",
             "{\"type\":\"sample\",\"\":0}",
             "{\"type\":\"sample\",\"large\":-0}",
             "{\"type\":\"sample\",\"type\":\"sample\"}",
             "{\"a\":1,\"type\":\"sample\"}",
             "{\"type\":\"sample\",\"a\":{\"type\":7,\"time\":\"x\"}}",
         }) {
        INFO(line);
        CHECK(decoder.refusal(line) == "");
    }
    for (const std::string value : {
             "0",
             "-0",
             "0.0",
             "-0.0e-0",
             "1E+2",
             "1e-2",
             "0e1",
             "0e+1",
             "1.0E00",
             "1e00001",
             "9223372036854775807",
             "-9223372036854775808",
             "18446744073709551615",
             "1.7976931348623157e308",
             "5e-324",
             "-123.456e-7",
             "0.1234567890123456789012345678901",
             "[]",
             "{}",
             "[[],{},null,true,false,\"\"]",
             "[ ]",
             "{ }",
             "[\t1\r,2 ]",
             "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
             "\"/\"",
             "\"\\u0022\\u005C\\u000a\"",
             "\"\\\\u0000\"",
             "\"\\ud83d\\ude00\xf0\x9f\x98\x80\"",
             "\"\\uDBFF\\uDFFF\"",
             "\"\x7f\xc2\x80\xef\xbf\xbf\"",
             "\"\\ufdd0\\uffff\\ufeff\"",
             "\"\xf4\x8f\xbf\xbf\"",
             "\"\xe2\x80\xa8\xe2\x80\xa9\"",
             "{\"\\u0061\":1}",
             "{\"\\\"\":1,\"\\\\\":2,\"/\":3}",
             "{\"b\":{\"b\":{\"b\":1}}}",
         }) {
        INFO(value);
        CHECK(decoder.refusal(with_value(value)) == "");
    }
}

TEST_CASE("other JSON values than objects, and objects without a type, are refused by name") {
    SampleDecoder decoder;
    for (const char* line : {"null", "true", "1", "\"sample\"", "[]", "[{\"type\":\"sample\"}]"}) {
        INFO(line);
        CHECK_THAT(decoder.refusal(line), Contains("not a JSON object"));
    }
    CHECK_THAT(decoder.refusal("{}"), Contains("\"type\""));
    CHECK_THAT(decoder.refusal(R"({"Type":"sample"})"), Contains("\"type\""));
    for (const std::string type : {"7", "null", "true", "[\"sample\"]", "{\"sample\":1}"}) {
        CHECK_THAT(decoder.refusal("{\"type\":" + type + "}"),
                   Contains("\"type\" is not a string"));
    }
}

TEST_CASE("a duplicate key is refused by name, whether the type knows it or not") {
    // RFC 8259, section 4, leaves open which of the two would count: nobody shall have to guess.
    SampleDecoder decoder;
    CHECK_THAT(decoder.refusal(R"({"type":"sample","type":"other"})"),
               Contains("duplicate key \"type\""));
    CHECK_THAT(decoder.field(R"("time":1,"time":1)"), Contains("duplicate key \"time\""));
    CHECK_THAT(decoder.field(R"("name":"a","name":"a")"), Contains("duplicate key \"name\""));
    CHECK_THAT(decoder.field(R"("name":null,"name":"a")"), Contains("duplicate key \"name\""));
    CHECK_THAT(decoder.field(R"("more":1,"other":2,"more":3)"), Contains("duplicate key \"more\""));
    CHECK_THAT(decoder.field(R"("more":1,"mor\u0065":1)"), Contains("duplicate key \"more\""));
    CHECK_THAT(decoder.field(R"("":1,"":2)"), Contains("duplicate key \"\""));
    CHECK(decoder.field(R"("more":1,"More":2,"more ":3)") == "");
    std::string keys;
    for (int i = 0; i < 1'000; ++i) keys += "\"k" + std::to_string(i) + "\":1,";
    CHECK(decoder.field(keys + "\"last\":1") == "");
    CHECK_THAT(decoder.field(keys + "\"k500\":1"), Contains("duplicate key \"k500\""));
}

TEST_CASE("depth, size and number of keys are bounded, and nothing crashes beyond") {
    SampleDecoder decoder;
    const auto nested = [](std::size_t depth) {
        return R"({"type":"sample","body":{"a":)" + std::string(depth, '[') +
               std::string(depth, ']') + "}}";
    };
    CHECK(decoder.refusal(nested(1'000)) == "");
    CHECK_THAT(decoder.refusal(nested(1'100)), Contains("levels deep"));
    CHECK_FALSE(decoder.refusal(nested(100'000)).empty());
    CHECK_FALSE(decoder.refusal(std::string(100'000, '[')).empty());
    std::string objects;
    for (int i = 0; i < 50'000; ++i) objects += "{\"a\":";
    CHECK_FALSE(decoder.refusal(objects).empty());
    CHECK_THAT(decoder.refusal(with_value("\"" + std::string(8u << 20, 'x') + "\"")),
               Contains("larger than 1 MiB"));
    CHECK_THAT(decoder.field("\"name\":\"" + std::string(8u << 20, 'x') + "\""),
               Contains("larger than 1 MiB"));
    CHECK_THAT(decoder.field("\"name\":\"" + std::string(70'000, 'x') + "\""),
               Contains("longer than 64 KiB"));
    std::string keys;
    for (int i = 0; i < 100'000; ++i) keys += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":1";
    CHECK(decoder.field(keys) == "");
    CHECK(decoder.extra() == "{" + keys + "}");
}

TEST_CASE("a decoder that has met the worst still decodes the next event") {
    SampleDecoder decoder;
    decoder.refusal(std::string(100'000, '['));
    decoder.refusal(with_value("\"open"));
    CHECK(decoder.field(R"("name":"a")") == "");
    CHECK(decoder.value("name", "\"b\"") == "b");
}
