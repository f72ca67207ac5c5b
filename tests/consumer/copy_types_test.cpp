// Every type of column through binary COPY into a real PostgreSQL, whose own reading of the same
// value as text is the judge.

#include "consumer/copy_row.hpp"
#include "consumer/event_decoder.hpp"
#include "consumer/leader.hpp"
#include "consumer/schema.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/postgres_server.hpp"

using namespace homeward;
using namespace homeward::consumer;

namespace {

constexpr std::int64_t kNowUs = 1'790'000'000'000'000;
constexpr std::int64_t kYearUs = 366 * 86'400'000'000;

struct Sample {
    std::string column;
    std::string json;  ///< as an event has it
    std::string text;  ///< as PostgreSQL reads it
};

std::string quoted(const std::string& text) {
    return '"' + text + '"';
}

/// Values whose JSON and SQL spellings are the same but for JSON's quotes.
std::vector<Sample> strings(const std::string& column, const std::vector<std::string>& texts) {
    std::vector<Sample> samples;
    for (const std::string& text : texts) samples.push_back({column, quoted(text), text});
    return samples;
}
std::vector<Sample> numbers(const std::string& column, const std::vector<std::string>& texts) {
    std::vector<Sample> samples;
    for (const std::string& text : texts) samples.push_back({column, text, text});
    return samples;
}

const std::vector<std::string> kWholes{"0", "-0", "1", "-1", "32767", "-32768"};
const std::vector<std::string> kReals{
    "0",   "0.1",   "-0.5",     "1e10",  "1.5e-7",  "123456789", "3.4028234e38", "-3.4028234e38",
    "1e0", "1.0E2", "16777217", "1e-37", "0.333333"};
const std::vector<std::string> kDoubles{"1.7976931348623157e308",  "5e-324",
                                        "2.2250738585072014e-308", "0.1234567890123456789",
                                        "9007199254740993",        "-9223372036854775808",
                                        "18446744073709551615"};
const std::vector<std::string> kNumerics{"0.1",
                                         "-0.5",
                                         "10000",
                                         "9999",
                                         "0.0001",
                                         "0.00001",
                                         "12345.6789",
                                         "9007199254740993",
                                         "-9223372036854775808",
                                         "18446744073709551615",
                                         "1e20",
                                         "1e-20",
                                         "1.50",
                                         "0.1234567890123456789012345678901",
                                         "12345678901234567.890"};
/// What JSON numbers have too few digits for is written as a string.
const std::vector<std::string> kExactNumerics{
    "123456789012345678901234567890.123456789012345678901234567890",
    "-0.00000000000000000000000000000000000000000000000000000000001",
    "0.10",
    "1.5000",
    "-0.00",
    "1e1000",
    "1e-1000",
    "1.23E+5",
    "12.30e-1",
    "100000000000000000000",
    "0000012",
    "0." + std::string(1'000, '7'),
    std::string(1'000, '9')};
const std::vector<std::string> kTimes{"1970-01-01T00:00:00Z",
                                      "1969-12-31T23:59:59.999999Z",
                                      "2000-01-01T00:00:00Z",
                                      "1999-12-31T23:59:59.999999+00:00",
                                      "2024-02-29T12:34:56.7-11:30",
                                      "2016-12-31T23:59:60Z",
                                      "2026-03-29t02:30:00.000001+14:00",
                                      "0001-01-01T00:00:00Z",
                                      "9999-12-31T23:59:59.999999Z",
                                      "1582-10-10T00:00:00Z",
                                      "1900-02-28T23:59:59Z"};
const std::vector<std::string> kUuids{
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "00112233-4455-6677-8899-AABBccddeeff", "00112233445566778899aabbccddeeff"};
const std::vector<std::string> kAddresses{"0.0.0.0",
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
                                          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};

/// An array of all of them with a NULL in it; `quote`: its elements are strings in JSON.
Sample array(const std::string& column, const std::vector<std::string>& texts, bool quote) {
    Sample sample{column, "[null", "{NULL"};
    for (const std::string& text : texts) {
        sample.json += "," + (quote ? quoted(text) : text);
        sample.text += "," + quoted(text);
    }
    sample.json += "]";
    sample.text += "}";
    return sample;
}

std::vector<Sample> all_samples() {
    std::vector<Sample> all;
    const auto add = [&](const std::vector<Sample>& more) {
        all.insert(all.end(), more.begin(), more.end());
    };
    add(strings("a_text", {"", "a", "ünïcödé 😀", "NULL", "{}", " x "}));
    add({{"a_text", R"(" a\tb\nc\\ \"d\" \u0041'")", " a\tb\nc\\ \"d\" A'"}});
    for (const char* column : {"a_int2", "a_int4", "a_int8", "a_whole"}) {
        add(numbers(column, kWholes));
    }
    add(numbers("a_int4", {"2147483647", "-2147483648"}));
    for (const char* column : {"a_int8", "a_whole"}) {
        add(numbers(column, {"9223372036854775807", "-9223372036854775808"}));
    }
    for (const char* column : {"a_float4", "a_float8"}) {
        add(numbers(column, kReals));
        add(strings(column, {"NaN", "Infinity", "-Infinity"}));
    }
    add(numbers("a_float8", kDoubles));
    add(numbers("a_numeric", kNumerics));
    add(strings("a_numeric", kExactNumerics));
    add({{"a_bool", "true", "t"}, {"a_bool", "false", "f"}});
    add(strings("a_time", kTimes));
    add({{"a_time", "0", "1970-01-01T00:00:00Z"},
         {"a_time", "-1", "1969-12-31T23:59:59.999999Z"},
         {"a_time", "-210866803200000000", "4714-11-24 00:00:00+00 BC"},
         {"a_time", "9223372036854775807", "294247-01-10 04:00:54.775807+00"}});
    add(strings("a_uuid", kUuids));
    add(strings("a_inet", kAddresses));
    for (const char* json : {"1", "-0", "1.5e3", "\"\"", "[]", "{}", "true", "[[[]]]",
                             R"({"b":1,"a":[1,2,{"c":null}],"":"\u00e9\ud83d\ude00\"\\\/\n"})",
                             R"("\u007f\u0001")", "1e-7", "1.50", "123456789012345678",
                             "0.1234567890123456789012345678901", "[ 1 ,\n2 ]"}) {
        all.push_back({"a_jsonb", json, json});
    }
    all.push_back(array("texts", {"a", "", "NULL", "{x,y}", "ü"}, true));
    for (const char* column : {"int2s", "int4s", "int8s"}) {
        all.push_back(array(column, kWholes, false));
    }
    all.push_back(array("float4s", kReals, false));
    all.push_back(array("float8s", kDoubles, false));
    all.push_back(array("numerics", kNumerics, false));
    all.push_back(array("numerics", kExactNumerics, true));
    all.push_back({"bools", "[true,null,false]", "{t,NULL,f}"});
    all.push_back(array("times", kTimes, true));
    all.push_back(array("uuids", kUuids, true));
    all.push_back(array("inets", kAddresses, true));
    for (const char* column :
         {"texts", "int2s", "float8s", "numerics", "bools", "times", "inets"}) {
        all.push_back({column, "[]", "{}"});
    }
    return all;
}

std::string type_of(const EventType& type, const std::string& column) {
    const Field& field = *type.find(column);
    return std::string(sql_name(field.column)) + (field.array ? "[]" : "");
}

}  // namespace

TEST_CASE("every type of column, copied in binary, is what PostgreSQL reads from its text") {
    testing::PostgresServer server;
    Config config;
    config.postgres.url = server.url();
    Leader leader(config.postgres.url, config.postgres);
    const auto types = load_event_types(HOMEWARD_EVERY_COLUMN_TYPES);
    Schema(leader, config).apply(types);

    const std::vector<Sample> samples = all_samples();
    EventDecoder decoder(std::make_shared<const Catalog>(types), {10 * kYearUs, kYearUs});
    std::string rows;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        std::string line =
            R"({"type":"every_column",")" + samples[i].column + "\":" + samples[i].json + "}";
        line.reserve(line.size() + EventDecoder::padding());
        const EventOutcome outcome =
            decoder.decode(line, 1, static_cast<std::int64_t>(i), kNowUs, kNowUs, rows);
        INFO(line << "\n" << outcome.reason);
        REQUIRE(outcome.kind == EventOutcome::Kind::row);
    }
    std::string columns = "origin, seq, time";
    for (const Field& field : types[0].fields) columns += ", " + field.name;
    leader.copy_begin("COPY every_column (" + columns + ", extra) FROM STDIN (FORMAT binary)");
    leader.copy_data(copy_header());
    leader.copy_data(rows);
    leader.copy_data(copy_trailer());
    leader.copy_end();

    for (std::size_t i = 0; i < samples.size(); ++i) {
        const Sample& sample = samples[i];
        const std::string type = type_of(types[0], sample.column);
        // A literal, not a parameter: exactly what the type's input function makes of it.
        const QueryResult found = leader.query(
            "SELECT " + sample.column + "::text, ($1::text)::" + type + "::text, " + sample.column +
                " = ($1::text)::" + type + " FROM every_column WHERE seq = $2",
            {sample.text, static_cast<std::int64_t>(i)});
        INFO(sample.column << " " << sample.json);
        REQUIRE(found.rows() == 1);
        CHECK(found.at(0, 0) == found.at(0, 1));
        CHECK(found.at(0, 2) == "t");
    }
}

TEST_CASE("what a column cannot hold is refused before it reaches PostgreSQL") {
    const auto types = load_event_types(HOMEWARD_EVERY_COLUMN_TYPES);
    EventDecoder decoder(std::make_shared<const Catalog>(types), {10 * kYearUs, kYearUs});
    for (const auto& [column, json] : std::vector<std::pair<std::string, std::string>>{
             {"a_int2", "32768"},
             {"a_int4", "-2147483649"},
             {"a_int8", "9223372036854775808"},
             {"a_whole", "1.0"},
             {"a_float4", "3.5e38"},
             {"a_numeric", "\"NaN\""},
             {"a_numeric", "\"1e1001\""},
             {"a_numeric", "\"0x10\""},
             {"a_numeric", "\"\""},
             {"a_numeric", quoted("0." + std::string(16'384, '1'))},
             {"a_time", "\"infinity\""},
             {"a_time", "\"294277-01-01T00:00:00Z\""},
             {"a_time", "-210866803200000001"},
             {"a_inet", "\"10.0.0.1/33\""},
             {"a_inet", "\"fe80::1%eth0\""},
             {"a_uuid", "\"0\""},
             {"int2s", "[1,32768]"},
             {"texts", "[[\"a\"]]"},
         }) {
        std::string line = R"({"type":"every_column",")" + column + "\":" + json + "}";
        line.reserve(line.size() + EventDecoder::padding());
        std::string rows;
        const EventOutcome outcome = decoder.decode(line, 1, 1, kNowUs, kNowUs, rows);
        INFO(line.substr(0, 80));
        CHECK(outcome.kind == EventOutcome::Kind::bad);
        CHECK(outcome.reason.find(column) != std::string::npos);
        CHECK(rows.empty());
    }
}
