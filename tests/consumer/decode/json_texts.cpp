#include "tests/consumer/decode/json_texts.hpp"

namespace homeward::testing {
namespace {

using namespace std::string_literals;
using Texts = std::vector<std::string>;

std::string times(std::size_t count, const std::string& piece) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += piece;
    return text;
}

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

/// As bytes, with a byte order mark.
std::string utf16(const std::string& ascii, bool big_endian) {
    std::string text = big_endian ? "\xfe\xff"s : "\xff\xfe"s;
    for (char c : ascii) text += big_endian ? "\0"s + c : c + "\0"s;
    return text;
}

void add(std::vector<JsonText>& all, const Texts& texts, Fate fate) {
    for (const std::string& text : texts) all.push_back({text, fate});
}

// Many to a line: one each would be five hundred lines.
// clang-format off

Texts good_scalars() {
    return {"null",
            "true", "false", "0", "-0", "-1", "1", "10", "123456789", "0.0", "-0.0", "0.1", "1.0",
            "0e0", "0E0", "0e+1", "0E-1", "-0e-0", "1e1", "1E1", "1e+1", "1E+22", "1e-7", "1.5e3",
            "-1.5E-3", "123e65", "123.456e78", "0.000000000000000000000001", "1e00", "1e-00",
            "1E0000000001", "9007199254740993", "9223372036854775807", "-9223372036854775808",
            "18446744073709551615", "1.7976931348623157e308", "2.2250738585072014e-308", "-1e-123",
            "0." + times(500, "0") + "1", "1." + times(1'000, "3"), "  1  ", "\t[ ]\r"};
}

Texts good_strings() {
    return {R"("")",
            R"(" ")", R"("a")", R"("/")", R"("\/")", R"("\"")", R"("\\")", R"("\b\f\n\r\t")",
            R"("\u0061\u30af\u30EA\u30b9")", R"("\u0012")", R"("\u001f")", R"("\u0022")",
            R"("\u005C")", R"("\u007F")", R"("\u00e9")", R"("\u2028\u2029")", R"("\u200B")",
            R"("\u2064")", R"("\uFDD0")", R"("\uFFFE")", R"("\uffff")", R"("\uFEFF")",
            R"("\uD834\uDd1e")", R"("\ud801\udc37")", R"("\uDBFF\uDFFF")", R"("\uD83F\uDFFE")",
            R"("new\u000Aline")", R"("\\u0000")", R"("\\n")", R"("\\ud800")", R"("a/*b*/c//d#e")",
            R"("true")", R"("1e400")", quoted("\x7f"), quoted("\xc2\x80"), quoted("\xc3\xa9"),
            quoted("\xdf\xbf"), quoted("\xe0\xa0\x80"), quoted("\xe2\x82\xac\xf0\x9d\x84\x9e"),
            quoted("\xe2\x80\xa8\xe2\x80\xa9"), quoted("\xef\xbb\xbf"),
            quoted("\xef\xbf\xbe\xef\xbf\xbf"), quoted("\xf0\x90\x80\x80"),
            quoted("\xf4\x8f\xbf\xbf"), quoted("\xed\x9f\xbf\xee\x80\x80"),
            quoted(times(5'000, "x")), quoted(times(500, "\\u00e4"))};
}

Texts good_structures() {
    return {"[]",
            "[ ]", "{}", "{ }", "[[]]", "[{}]", "{\"a\":[]}", "[[], {}, [{}], {\"a\": {}}]",
            "[null, 1, \"1\", {}]", "[1\r,\t2 ]", "[\"\"]", R"([""," ","a"])", R"({"":0})",
            R"({"":{"":{"":null}}})", R"({"a":1,"b":2})", R"({"a":{"a":{"a":1}}})",
            R"({"\u0061":1,"A":2})", R"({"\"":1,"\\":2,"/":3,"\t":4})", R"({" a":1,"a ":2,"a":3})",
            R"({"type":7,"time":"x","origin":-1,"seq":null})", R"({"min":-1.0e+28,"max":1.0e+28})",
            R"({"null":null,"true":true,"1":1})", "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}",
            "{" + times(999, "\"a\":{") + times(999, "}") + "}",
            times(1'000, "[") + times(1'000, "]"), "[" + times(5'000, "0,") + "0]",
            "[" + times(2'000, "{},") + "[]]"};
}

/// What the grammar of values, arrays and objects forbids (sections 2 to 5).
Texts bad_structures() {
    return {"",
            ",", ":", "[", "]", "{", "}", "[[", "]]", "[]]", "{}}", "[}", "{]", "[1", "[1,", "[1,]",
            "[,1]", "[,]", "[1,,2]", "[1,,]", "[,", "[1 2]", "[1 true]", "[1:2]", "[\"a\":1]",
            "[1;2]", "[a]", "[\"\"", "[\"a\",", "[3[4]]", "[[][]]", "[1]x", "[]{}", "[] []", "[1],",
            "[1]2", "[\\n]", "[/**/1]", "[1/*c*/]", "[1//]", "[1#]", "[*]", "[&]", "[<null>]",
            "[...]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,\"a\":1}",
            "{,}", "{:1}", "{\"a\"}", "{\"a\",1}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1:2}",
            "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{\"a\":1;\"b\":2}", "{a:1}", "{'a':1}",
            "{1:1}", "{null:1}", "{true:1}", "{[]:1}", "{{}:1}", "{{}}", "{\"a\":}", "{\"a\":\"b",
            "{\"a\":a}", "{\"a\":'b'}", "{\"a\"=1}", "{\"a\"=>1}", "{\"a\":1}{", "{\"a\":1}#",
            "{\"a\":1}//", "{\"a\":1}/*", "{\"a\"\\:1}", "{\"a\":/*c*/1}", "{/*c*/}", "{\"a\":1}}",
            "{\"a\" b}", "{\"a\":1,\"b\"}", "{\"a\":1,b}", times(100'000, "["),
            times(50'000, "{\"a\":"), times(10'000, "[{\"a\":"),
            times(2'000, "[") + times(1'999, "]"), "()", "(1)", "<a/>", "@", "$", "%", "~", "\\",
            "\xe2\x80\x9c"
            "a\xe2\x80\x9d", "undefined", "nil", "None", "function(){}", "new Date()", "True",
            "TRUE", "tRUE", "nul", "nulll", "tru", "truex", "fals", "falsee", "true false",
            "null,null", "NULL", "n", "t", "f", "yes", "\\u0074rue"};
}

/// White space is space, tab, line feed and carriage return, and nothing else (section 2).
Texts bad_spaces() {
    return {"\f1",
            "1\f", "[\f]", "[1,\v2]", "{\"a\":\f1}", "\xc2\xa0"
            "1", "[\xc2\xa0]", "\xe2\x80\x83"
            "1", "\xe2\x81\xa0[]", "\xe3\x80\x80[]", "[\xe2\x80\xa8]", "\xc2\x85"
            "1", "\xef\xbb\xbf"
            "1", "[\xef\xbb\xbf]", "\x1b[]", "[]\x1a", "[\b]", "\x7f[]", "[\x01]"};
}

/// Section 6.
Texts bad_numbers() {
    return {"+1",
            "++1", "+0", "-", "--1", "-+1", "+-1", "- 1", "-a", "-foo", "01", "00", "-01", "-00",
            "012", "-012", "00.5", ".5", "-.5", "+.5", ".", "-.", "5.", "-5.", "0.", "1.e1",
            "1.e+1", ".e1", ".1e1", "0.e1", "1.2.3", "1..2", "1.2.", "e1", "E1", "1e", "1E", "1e+",
            "1e-", "1E+", "0e", "0e+", "0E", "0E+", "1.0e", "1.0e-", "1.0E+", "1e1e1", "1e1.5",
            "1e+-1", "1e--1", "1e++1", "1ee1", "1eE2", "1e 1", "1 e1", "1 000", "1 000.0", "1,5",
            "1_000", "1'000", "0x1", "0xF", "0x", "-0x1", "0X1F", "0b1", "0o17", "1f", "1F", "1L",
            "1u", "1d", "1n", "1a", "1x", "2.a", "0.3a", "1e1a", "1/2", "1+1", "1-1", "1*1", "1=1",
            "NaN", "-NaN", "nan", "+NaN", "Nan", "Infinity", "-Infinity", "+Infinity", "Inf", "inf",
            "-inf", "infinity", "1#INF", "\xef\xbc\x91", "\xd9\xa1", "1\xe2\x82\xac", "\xe2\x88\x92"
            "1", "0xFFFFFFFF", "$1", "1%", "0" + times(10'000, "0"), times(10'000, "1") + ".",
            times(10'000, "1") + "e", "1e" + times(10'000, "+")};
}

/// Section 7.
Texts bad_strings() {
    Texts texts{R"(")",
                R"("a)", R"("\")", R"("\\\")", R"("\a")", R"("\v")", R"("\0")", R"("\x")",
                R"("\x00")", R"("\x41")", R"("\')", R"("\'")", R"("\ ")", R"("\U0041")", R"("\u")",
                R"("\u1")", R"("\u12")", R"("\u123")", R"("\u00A")", R"("\u00G0")", R"("\uXYZW")",
                R"("\u-123")", R"("\u+123")", R"("\u 123")", R"("\u{41}")", R"("\u0x41")",
                R"("\uD83D\u")", R"("\uD83D\uDE")", R"("\uD800\)", R"("\uD800\u1")",
                R"("\uD800\u1x")", R"("\1")", R"("\8")", R"("\N{DEGREE SIGN}")", R"("\%")",
                R"("\&")", R"("\*")", R"("\_")", R"('a')", R"('')", R"(`a`)", R"("a"b")",
                R"("a" "b")", R"("a"+"b")", R"("a""b")", R"(a")", R"("a"x)",
                R"("\u00)", R"("\)", "\"\\\xf0\x9f\x98\x80\"", "\"\\\xc3\xa9\"", "\"\\\t\"",
                "\"\\\0\""s, R"(\u0022a\u0022)", quoted(times(100, "\\\\") + "\\")};
    for (char c = 0; c < 0x20; ++c) {
        if (c != '\n') texts.push_back(quoted("a"s + c + "b"));
    }
    return texts;
}

/// Section 8: UTF-8, whole and well formed. JSON texts may escape a lone surrogate; no text column
/// can hold one, so each is a letter here.
Texts bad_characters() {
    const Texts bytes{"\x80",
                      "\xbf", "\x80\xbf\x80", "\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xc3",
                      "\xc3\x28", "\xc3\xc3\xa9", "\xdf", "\xe0\x80\x80", "\xe0\x80\xaf",
                      "\xe0\x9f\xbf", "\xe2", "\xe2\x82", "\xe2\x28\xa1", "\xe2\x82\x28",
                      "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xb0\x80", "\xed\xbf\xbf",
                      "\xed\xa0\xbd\xed\xb8\x80", "\xef\xbf", "\xf0", "\xf0\x9f\x98",
                      "\xf0\x28\x8c\xbc", "\xf0\x80\x80\x80", "\xf0\x80\x80\xaf",
                      "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                      "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80",
                      "\xfe", "\xff", "\xfe\xff", "\xff\xfe", "caf\xe9", "\xe5", "ab\xf8",
                      "\xef\xbb"};
    const Texts escapes{
        R"(\ud800)",         R"(\uD800)",        R"(\uDBFF)",        R"(\udc00)",
        R"(\uDFAA)",         R"(\uDFFF)",        R"(\uDC00\uD800)",  R"(\uD800\uD800)",
        R"(\uD800\uD800\n)", R"(\uDd1e\uD834)",  R"(\uD834x)",       R"(\uD834\n)",
        R"(\uD888\u1234)",   R"(\ud83d\\ude00)", R"(\ud83d \ude00)", R"(x\uDADA)"};
    Texts texts;
    for (const Texts& group : {bytes, escapes}) {
        for (const std::string& one : group) {
            texts.push_back(quoted(one));
            texts.push_back("{" + quoted(one) + ":1}");
        }
    }
    for (const std::string& one : bytes) texts.push_back(one);
    return texts;
}

/// Numbers beyond 64 bits, keys that stand twice, NUL, depth: what a reader makes of it is its own.
Texts open_questions() {
    return {
        "1e400", "-1e400", "1e-400", "-1e-400", "1e99999999999999999999", "1e-99999999999999999999",
        "0e99999999999999999999", "18446744073709551616", "-9223372036854775809",
        "100000000000000000000", "-123123123123123123123123123123", "123123e100000", "-1e-10000",
        "0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999",
        times(10'000, "7"), "-" + times(10'000, "7"), "0." + times(10'000, "7"),
        times(10'000, "7") + "e-9990", R"({"a":1,"a":2})", R"({"a":1,"a":"1"})",
        R"({"a":{},"a":[]})", R"({"a":1,"\u0061":2})", R"({"":1,"":2})",
        R"({"a":1,"b":{"a":2},"a":3})", R"("\u0000")", R"("a\u0000b")", R"({"\u0000":1})",
        R"({"a\u0000b":1,"a\ufffdb":2})", R"({"\u0000":1,"\ufffd":2})",
        times(1'100, "[") + times(1'100, "]"), times(100'000, "[") + times(100'000, "]")};
}

// clang-format on

std::string event_with(const std::string& fields) {
    return R"({"type":"audit","actor":"a","action":"b","resource":"r","outcome":"allowed")" +
           fields + "}";
}

}  // namespace

std::vector<JsonText> json_values() {
    std::vector<JsonText> all;
    for (const Texts& texts : {good_scalars(), good_strings(), good_structures()})
        add(all, texts, Fate::row);
    for (const Texts& texts :
         {bad_structures(), bad_spaces(), bad_numbers(), bad_strings(), bad_characters()}) {
        add(all, texts, Fate::letter);
    }
    add(all, open_questions(), Fate::either);
    return all;
}

std::vector<JsonText> json_documents() {
    const std::string good = event_with("");
    std::vector<JsonText> all;
    add(all,
        {good, " " + good + " ", "\t" + good + "\r", event_with(R"(,"":1)"),
         event_with(R"(,"\u0000":1)"), event_with(R"(,"a":1,"A":2)"),
         event_with(R"(,"request_id":null)"), event_with(R"(,"detail":{})"),
         R"({"t\u0079pe":"audit","actor":"a","action":"b","resource":"r","outcome":"\u0061llowed"})",
         R"({"outcome":"allowed","resource":"r","action":"b","actor":"a","type":"audit"})",
         event_with(R"(,"more":")" + times(150'000, "x\\n") + "\"")},
        Fate::row);
    // clang-format off
    Texts bad{"null",
              "true", "false", "0", "-0", "1", "1.5e3", "\"\"", "\"a\"", "\"audit\"", "[]", "[{}]",
              "[" + good + "]", "{}", "{\"a\":1}", R"({"":""})", "{{", "}", "]", "[", "{", "\"",
              "a", "\\", "/", "\x01", "\x7f", "\x80", "\xff", "\xc3\xa9", "\xef\xbb\xbf",
              "\xef\xbb\xbf" + good, good + "\xef\xbb\xbf", "\xef\xbb\xbf{}", "\xef\xbb" + good,
              utf16(good, false), utf16(good, true), utf16("{}", false), utf16("[]", true), "\0"s,
              "\0\0\0\0"s, good + "\0"s, "\0"s + good, good + "\0x"s, good + good,
              good + " " + good, good + "," + good, good + ",", good + "]", good + "}", good + "x",
              good + "#", good + " // c", good + " /* c */", "/* c */" + good, "// c", "# c",
              good.substr(1), good.substr(0, good.size() - 1), good.substr(0, good.size() / 2),
              "'" + good + "'", quoted(good), "(" + good + ")", good + "\f", "\f" + good,
              "\v" + good, good + "\x1a", "\xc2\xa0" + good, R"({"type":"audit",})",
              R"({"type":"audit"})", R"({"type":null})", R"({"type":7})", R"({"type":[]})",
              R"({"type":""})", R"({"type":" audit"})", R"({"type":"AUDIT"})",
              R"({"type":"\u0000"})", R"({"type":"\ud800"})", R"({"type":"audit\u0000"})",
              R"({"type":"\"; drop table audit_events; --"})", R"({"Type":"audit"})",
              R"({"type":"homeward.tombstone","count":0})",
              R"({"type":"homeward.tombstone","count":-1})",
              R"({"type":"homeward.tombstone","count":1e99})",
              event_with(R"(,"type":"audit")" + ",\"type\":\"metric\""s),
              event_with(R"(,"actor":"b")"), event_with(R"(,"\u0061ctor":"b")"),
              event_with(R"(,"a":1,"a":2)"), event_with(R"(,"time":1e400)"),
              event_with(R"(,"time":1764000000000000,"time":1764000000000001)"),
              event_with(R"(,"time":"294277-01-09T04:00:54Z")"),
              event_with(R"(,"time":"0000-00-00T00:00:00Z")"),
              event_with(R"(,"time":"2026-02-30T00:00:00Z")"),
              event_with(R"(,"time":9223372036854775807)"),
              event_with(R"(,"time":-9223372036854775808)"), event_with(R"(,"time":{})"),
              event_with(R"(,"time":"")"), event_with(",,"), event_with(R"(,"a")"),
              event_with(R"(,"a":)"), event_with(R"(,:1)"), "<event/>", "type=audit&actor=a",
              "---\ntype: audit", "HWF1", "HWF1" + times(64, "\xff"), times(1'000, "\xff"),
              times(100'000, "["), times(100'000, "]"), times(100'000, "{"), times(100'000, "\""),
              times(100'000, "\\"), times(100'000, "[{\"a\":"), times(500'000, " ") + "x"};
    // clang-format on
    add(all, bad, Fate::letter);
    return all;
}

}  // namespace homeward::testing
