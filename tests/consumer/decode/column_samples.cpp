#include "tests/consumer/decode/column_samples.hpp"

#include "tests/consumer/decode/json_texts.hpp"
#include "tests/consumer/decode/sample_generator.hpp"

namespace homeward::testing {
namespace {

void add_integers(Generator& all) {
    const Texts columns{"a_int2", "a_int4", "a_int8", "a_whole"};
    all.numbers(columns, {"0",
                          "-0",
                          "1",
                          "-1",
                          "32767",
                          "-32768",
                          "32768",
                          "-32769",
                          "2147483647",
                          "-2147483648",
                          "2147483648",
                          "-2147483649",
                          "9223372036854775807",
                          "-9223372036854775808",
                          "9223372036854775808",
                          "-9223372036854775809",
                          "18446744073709551615",
                          "18446744073709551616",
                          "1.0",
                          "1.5"});
    all.numbers({"a_int2", "a_int4", "a_int8"}, {"1e2", "1E0"});
    all.numbers({"a_whole"}, {"1e2", "1.0", "1.50"}, Verdict::refused);
    // PostgreSQL reads these as a whole column, but they are not whole.
    std::erase_if(all.samples, [](const ColumnSample& sample) {
        return sample.column == "a_whole" && sample.fate == Verdict::as_postgres &&
               sample.json.find('.') != std::string::npos;
    });
    all.strings({"a_int2", "a_int4", "a_int8"}, {"7", " 7 "}, Verdict::refused);
    all.strings({"a_whole"}, {"7", "123456789012345678901234567890"});
    for (int i = 0; i < 25; ++i) {
        const std::string sign = all.below(2) == 0 ? "-" : "";
        all.numbers(columns, {sign + std::to_string(all.random() >> all.below(64))});
        all.numbers({"a_whole"}, {sign + "1" + all.digits(all.below(200))});
    }
}

void add_reals(Generator& all) {
    const Texts columns{"a_float4", "a_float8"};
    all.numbers(columns, {"0",
                          "-0",
                          "-0.0",
                          "0.0",
                          "0e9",
                          "-0e-9",
                          "0.1",
                          "-0.5",
                          "1e10",
                          "1.5e-7",
                          "123456789",
                          "3.4028234e38",
                          "-3.4028234e38",
                          "3.4028235e38",
                          "3.4028236e38",
                          "1e39",
                          "1e0",
                          "1.0E2",
                          "16777217",
                          "16777219",
                          "1e-37",
                          "1e-45",
                          "7e-46",
                          "7.0064923216240862e-46",
                          "1e-50",
                          "0.333333",
                          "1.7976931348623157e308",
                          "1.7976931348623159e308",
                          "1e309",
                          "-1e400",
                          "5e-324",
                          "2e-324",
                          "1e-400",
                          "2.2250738585072014e-308",
                          "2.2250738585072011e-308",
                          "0.1234567890123456789",
                          "9007199254740993",
                          "9007199254740992.99999",
                          "-9223372036854775808",
                          "18446744073709551615",
                          "18446744073709551616",
                          "-9223372036854775809",
                          "1.0000001788139343261718749999999999999999",
                          "1.00000005960464477539062500000000000000001",
                          "100000000000000000000000",
                          "1e23",
                          "8.5e22",
                          "123456789012345678901234567890.5"});
    all.strings(columns, {"NaN", "Infinity", "-Infinity"});
    all.strings(columns, {"1.5", "inf", "nan", " 1 "}, Verdict::refused);
    for (int i = 0; i < 60; ++i) {
        all.numbers(columns, {all.any_float<double, std::uint64_t>()});
        all.numbers({"a_float4"}, {all.any_float<float, std::uint32_t>()});
        all.numbers(columns, {all.number(30, 40)});
    }
}

void add_numerics(Generator& all) {
    all.numbers({"a_numeric"}, {"0.1",
                                "-0.5",
                                "10000",
                                "9999",
                                "0.0001",
                                "0.00001",
                                "12345.6789",
                                "-0",
                                "-0.00",
                                "9007199254740993",
                                "18446744073709551616",
                                "1e20",
                                "1e-20",
                                "1.50",
                                "1e309",
                                "-1e400",
                                "1e1001",
                                "1e-1001",
                                "12345678901234567.890",
                                "1e131071",
                                "1e131072",
                                "1e-16383",
                                "1e-16384",
                                "0e5",
                                "0e-7",
                                "12.30e-1",
                                "1.23E+5",
                                "1230e-1"});
    all.strings({"a_numeric"},
                {"NaN", "Infinity", "-Infinity", "0.10", "1.5000", "-0.00", "0000012",
                 "0." + std::string(1'000, '7'), std::string(1'000, '9'), std::string(4'001, '1'),
                 "0." + std::string(16'383, '1'), "0." + std::string(16'384, '1'), "1e1e1", "",
                 "abc", "1.2.3", "--1", "123456789012345678901234567890.1234567890"});
    all.strings({"a_numeric"}, {" 1", "+1", "nan", "inf", "1e+5 "}, Verdict::refused);
    all.add({"a_numeric", quoted(std::string(131'072, '8')), std::string(131'072, '8')});
    all.add({"a_numeric", quoted(std::string(131'073, '8')), std::string(131'073, '8')});
    for (int i = 0; i < 80; ++i) {
        all.numbers({"a_numeric"}, {all.number(40, 60)});
        all.strings({"a_numeric"}, {all.number(60, 1'200)});
    }
}

std::string random_time(Generator& all, const std::string& offset) {
    const auto two = [&](std::uint64_t from, std::uint64_t count) {
        const std::uint64_t value = from + all.below(count);
        return (value < 10 ? "0" : "") + std::to_string(value);
    };
    std::string year = std::to_string(1 + all.below(9'999));
    year.insert(0, 4 - year.size(), '0');
    std::string text = year + "-" + two(1, 12) + "-" + two(1, 31) +
                       (all.below(4) == 0 ? " " : "T") + two(0, 24) + ":" + two(0, 60) + ":" +
                       two(0, 60);
    const std::size_t fraction = all.below(12);
    if (fraction > 0) text += "." + all.digits(fraction);
    return text + offset;
}

void add_times(Generator& all) {
    all.strings({"a_time"}, {"1970-01-01T00:00:00Z",
                             "1969-12-31T23:59:59.999999Z",
                             "2000-01-01T00:00:00Z",
                             "1999-12-31T23:59:59.999999+00:00",
                             "2024-02-29T12:34:56.7-11:30",
                             "2023-02-29T00:00:00Z",
                             "2016-12-31T23:59:60Z",
                             "2016-12-31T23:59:60.5Z",
                             "2026-03-29t02:30:00.000001+14:00",
                             "0001-01-01T00:00:00Z",
                             "9999-12-31T23:59:59.999999Z",
                             "9999-12-31T23:59:59.9999999Z",
                             "1582-10-10T00:00:00Z",
                             "1900-02-28T23:59:59Z",
                             "2026-11-24T10:00:00.1234565Z",
                             "2026-11-24T10:00:00.0000005Z",
                             "2026-11-24T10:00:00.0000015Z",
                             "2026-11-24T23:59:59.9999995Z",
                             "2026-11-24T10:00:00.123456499999Z",
                             "2026-11-24T10:60:00Z",
                             "2026-11-24T10:00:61Z",
                             "2026-13-24T10:00:00Z",
                             "",
                             "soon"});
    all.strings({"a_time"},
                {"infinity", "2026-11-24", "2026-11-24 10:00", "2026-11-24T10:00:00", "now",
                 "2026-11-24T10:00:00+01", "Nov 24 2026 10:00 UTC", "2026-11-24T24:00:00Z"},
                Verdict::refused);
    all.add({"a_time", "0", "1970-01-01T00:00:00Z", Verdict::taken});
    all.add({"a_time", "-1", "1969-12-31T23:59:59.999999Z", Verdict::taken});
    all.add({"a_time", "-210866803200000000", "4714-11-24 00:00:00+00 BC", Verdict::taken});
    all.add({"a_time", "9223372036854775807", "294247-01-10 04:00:54.775807+00", Verdict::taken});
    all.add({"a_time", R"("2026-11-24T10:00:00+23:59")", "2026-11-23T10:01:00Z", Verdict::taken});
    for (int i = 0; i < 60; ++i) {
        const std::string hours = std::to_string(10 + all.below(5));
        const std::array<std::string, 4> offsets{"Z", "z", "+" + hours + ":30",
                                                 "-" + hours + ":45"};
        all.strings({"a_time"}, {random_time(all, offsets[all.below(4)])});
    }
}

void add_identifiers(Generator& all) {
    all.strings({"a_uuid"},
                {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                 "00112233-4455-6677-8899-AABBccddeeff", "00112233445566778899aabbccddeeff", "0",
                 "", "00112233-4455-6677-8899-aabbccddeefg"});
    all.strings(
        {"a_uuid"},
        {"{00112233-4455-6677-8899-aabbccddeeff}", "0011-2233-4455-6677-8899-aabb-ccdd-eeff"},
        Verdict::refused);
    all.strings({"a_inet"}, {"0.0.0.0",
                             "255.255.255.255",
                             "10.1.2.3/8",
                             "10.0.0.0/0",
                             "192.168.0.1/32",
                             "::",
                             "::1",
                             "2001:db8::1/32",
                             "::/0",
                             "fe80::1/64",
                             "2001:db8::1/128",
                             "::ffff:1.2.3.4",
                             "::ffff:0:0/96",
                             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                             "10.0.0.256",
                             "10.0.0.1/33",
                             "::1/129",
                             "fe80::1%eth0",
                             "localhost",
                             "",
                             ":::1"});
    all.strings({"a_inet"}, {"010.0.0.1", "10.0.0.1/08"}, Verdict::refused);
    std::erase_if(all.samples, [](const ColumnSample& sample) {
        return sample.column == "a_inet" && sample.text == "10.0.0.1/08";
    });
    constexpr char kHex[] = "0123456789abcdefABCDEF";
    for (int i = 0; i < 20; ++i) {
        std::string id;
        for (int n = 0; n < 32; ++n) {
            if (n == 8 || n == 12 || n == 16 || n == 20) id += '-';
            id += kHex[all.below(22)];
        }
        std::string v4, v6;
        for (int n = 0; n < 4; ++n) v4 += (n > 0 ? "." : "") + std::to_string(all.below(256));
        for (int n = 0; n < 8; ++n) {
            v6 += n > 0 ? ":" : "";
            for (std::uint64_t more = all.below(4) + 1; more > 0; --more) v6 += kHex[all.below(16)];
        }
        all.strings({"a_uuid"}, {id});
        all.strings({"a_inet"}, {v4 + "/" + std::to_string(all.below(33)),
                                 v6 + "/" + std::to_string(all.below(129))});
    }
}

void add_texts(Generator& all) {
    all.strings({"a_text"}, {"", "a", "ünïcödé 😀", "NULL", "{}", " x "});
    all.add({"a_text", R"(" a\tb\nc\\ \"d\" \u0041'")", " a\tb\nc\\ \"d\" A'"});
    all.add({"a_text", R"("a\u0000b")",
             "a\xef\xbf\xbd"
             "b",
             Verdict::taken});
    all.add({"a_text", "7", "7", Verdict::refused});
    all.add({"a_text", "true", "true", Verdict::refused});
    all.add({"a_text", quoted(std::string(65'536, 'x')), std::string(65'536, 'x')});
    all.add(
        {"a_text", quoted(std::string(65'537, 'x')), std::string(65'537, 'x'), Verdict::refused});
    all.add({"a_bool", "true", "t"});
    all.add({"a_bool", "false", "f"});
    for (const char* json : {"\"t\"", "\"true\"", "1", "0"}) {
        const std::string text(json);
        all.add({"a_bool", json, text[0] == '"' ? text.substr(1, text.size() - 2) : text,
                 Verdict::refused});
    }
    for (const JsonText& value : json_values()) {
        if (value.text.find('\n') != std::string::npos || value.text.size() > 20'000) continue;
        if (value.text.find("\\u0000") != std::string::npos) continue;
        if (value.text.substr(0, 1'023) == std::string(1'023, '[')) continue;  // too deep for us
        if (value.fate != testing::Fate::letter) all.add({"a_jsonb", value.text, value.text});
    }
    all.add({"a_jsonb", R"({"a\u0000":"\u0000"})", "{\"a\xef\xbf\xbd\":\"\xef\xbf\xbd\"}",
             Verdict::taken});
    for (int i = 0; i < 30; ++i) {
        const std::string number = all.number(40, 500);
        all.numbers({"a_jsonb"}, {number, "[" + number + "]", "{\"a\":{\"b\":" + number + "}}"});
    }
    all.add({"an_object", R"({"a":1})", R"({"a":1})"});
    for (const char* json : {"1", "\"a\"", "[]", "true"}) {
        all.add({"an_object", json, json, Verdict::refused});
    }
}

/// Every array, of seven elements at a time that its scalar column takes, a NULL among them.
void add_arrays(Generator& all) {
    const std::array<std::pair<const char*, const char*>, 11> arrays{{{"texts", "a_text"},
                                                                      {"int2s", "a_int2"},
                                                                      {"int4s", "a_int4"},
                                                                      {"int8s", "a_int8"},
                                                                      {"float4s", "a_float4"},
                                                                      {"float8s", "a_float8"},
                                                                      {"numerics", "a_numeric"},
                                                                      {"bools", "a_bool"},
                                                                      {"times", "a_time"},
                                                                      {"uuids", "a_uuid"},
                                                                      {"inets", "a_inet"}}};
    const std::vector<ColumnSample> scalars = all.samples;
    for (const auto& [array, scalar] : arrays) {
        ColumnSample sample{array, "[null", "{NULL"};
        int elements = 0;
        for (const ColumnSample& one : scalars) {
            // Only what is surely taken: one bad element is the whole array's end.
            const bool is_safe = one.text.size() < 20 && one.json.size() < 22;
            if (one.column != scalar || one.fate != Verdict::as_postgres || !is_safe) continue;
            ColumnSample single{array, "[" + one.json + "]", "{\"" + one.text + "\"}"};
            if (one.text.find_first_of("\\\"") == std::string::npos && elements < 8) {
                all.add(single);
                ++elements;
            }
        }
        all.add({array, "[]", "{}"});
        all.add({array, "[null]", "{NULL}"});
        all.add({array, "null", ""});
        all.samples.pop_back();
    }
    all.add({"int8s", "[1,null,-2]", "{1,NULL,-2}"});
    all.add({"bools", "[true,null,false]", "{t,NULL,f}"});
    all.add({"float8s", "[-0.0,1e22,18446744073709551616]", "{-0,1e22,18446744073709551616}"});
    all.add({"numerics", "[1e400,\"NaN\",0.10]", "{1e400,NaN,0.10}"});
    all.add({"int2s", "[1,32768]", "{1,32768}"});
    all.add({"texts", "[[\"a\"]]", "{{a}}", Verdict::refused});
}

}  // namespace

std::vector<ColumnSample> column_samples() {
    Generator all;
    add_integers(all);
    add_reals(all);
    add_numerics(all);
    add_times(all);
    add_identifiers(all);
    add_texts(all);
    add_arrays(all);
    return all.samples;
}

}  // namespace homeward::testing
