// Lines of StatsD: what each means, and why others are refused.

#include "publisher/tools/emit/statsd_line.hpp"

#include <map>
#include <string>
#include <vector>

#include "publisher/tools/emit/udp_socket.hpp"
#include "tests/support/catch.hpp"

using namespace homeward;

namespace {

std::vector<double> values_of(const StatsdLine& line) {
    std::vector<double> values;
    std::string_view rest = line.values;
    for (std::string_view text; next_value(rest, text);) {
        const auto value = read_statsd_value(text);
        REQUIRE(value);
        values.push_back(value->number);
    }
    return values;
}

std::string tags_of(const StatsdLine& line) {
    std::string tags;
    std::string_view rest = line.tags;
    for (StatsdTag tag; next_tag(rest, tag);) {
        tags += std::string(tag.key) + "=" + std::string(tag.value) + " ";
    }
    return tags;
}

struct Taken {
    std::string text;
    std::string name;
    StatsdType type;
    std::vector<double> values;
    double rate = 1;
    std::string tags{};
};

}  // namespace

TEST_CASE("a line of StatsD or DogStatsD is read as its page says") {
    using Type = StatsdType;
    const std::vector<Taken> table{
        {"page.views:1|c", "page.views", Type::counter, {1}},
        {"page.views:2.5|c|@0.1", "page.views", Type::counter, {2.5}, 0.1},
        {"fuel.level:0.5|g", "fuel.level", Type::gauge, {0.5}},
        {"fuel.level:+4|g", "fuel.level", Type::gauge, {4}},
        {"fuel.level:-10|g", "fuel.level", Type::gauge, {-10}},
        {"query:320|ms|@0.5", "query", Type::timer, {320}, 0.5},
        {"song:240|h|@0.5", "song", Type::histogram, {240}, 0.5},
        {"song:1:2:-3e2|d|#a:b", "song", Type::histogram, {1, 2, -300}, 1, "a=b "},
        {"u:1|c|#country:china,urgent", "u", Type::counter, {1}, 1, "country=china urgent=true "},
        {"u:1|c|@1|#url:http://x:80/a,,e:", "u", Type::counter, {1}, 1, "url=http://x:80/a e= "},
        {"u:1|c|#a:b|@0.5", "u", Type::counter, {1}, 0.5, "a=b "},
        {"u:1|c|#env:dev|c:83c0a99c0a54c0c187f461c7980e9b57f3f6a8b0c918c8d93df19a9de6f3fe1d",
         "u",
         Type::counter,
         {1},
         1,
         "env=dev "},
        {"u:15|c|#env:dev|T1656581400", "u", Type::counter, {15}, 1, "env=dev "},
        {"u:1|g|e:it-false,cn-nginx|card:low", "u", Type::gauge, {1}},
        {"u:1|c|#", "u", Type::counter, {1}},
        {"u:1|c|", "u", Type::counter, {1}},
        {"a b/ü:1|c", "a b/ü", Type::counter, {1}},
        {"u:9007199254740993|c", "u", Type::counter, {9007199254740992.0}},
    };
    for (const Taken& one : table) {
        INFO(one.text);
        const StatsdLine line = read_statsd_line(one.text);
        CHECK(line.fault == StatsdFault::none);
        CHECK(line.name == one.name);
        CHECK(line.type == one.type);
        CHECK(values_of(line) == one.values);
        CHECK(line.rate == one.rate);
        CHECK(tags_of(line) == one.tags);
    }
    CHECK(read_statsd_value("9007199254740993")->whole == 9007199254740993);
    CHECK_FALSE(read_statsd_value("1.0")->whole);
    CHECK(read_statsd_value("+4")->is_signed);
    CHECK_FALSE(read_statsd_value("4")->is_signed);
}

TEST_CASE("a line that is refused says which of its parts is wrong") {
    const std::multimap<StatsdFault, std::string> table{
        {StatsdFault::format, ""},
        {StatsdFault::format, "x"},
        {StatsdFault::format, "x:1"},
        {StatsdFault::format, "x|c"},
        {StatsdFault::format, "x|c:1"},
        {StatsdFault::format, "x:1|c|0.1"},
        {StatsdFault::format, "x:1|c||#a:b"},
        {StatsdFault::format, "x:1|c|T"},
        {StatsdFault::type, "x:1|"},
        {StatsdFault::type, "x:1|s"},
        {StatsdFault::type, "x:1|m"},
        {StatsdFault::type, "x:1|C"},
        {StatsdFault::type, "x:1|c:2|ms"},
        {StatsdFault::type, "_e{5,4}:title|text|#a:b"},
        {StatsdFault::type, "_sc|Redis connection|2|#env:dev"},
        {StatsdFault::name, ":1|c"},
        {StatsdFault::name, "x,route=/a:1|c"},
        {StatsdFault::name, "x;route=a:1|c"},
        {StatsdFault::name, "x#route=a:1|c"},
        {StatsdFault::value, "x:|c"},
        {StatsdFault::value, "x:a|c"},
        {StatsdFault::value, "x:1 |c"},
        {StatsdFault::value, "x:1:|h"},
        {StatsdFault::value, "x:1::2|h"},
        {StatsdFault::value, "x:+-1|g"},
        {StatsdFault::value, "x:++1|g"},
        {StatsdFault::value, "x:nan|g"},
        {StatsdFault::value, "x:inf|h"},
        {StatsdFault::value, "x:1e999|ms"},
        {StatsdFault::value, "x:1e19|c"},
        {StatsdFault::value, "x:1|c|@1e-300"},
        {StatsdFault::rate, "x:1|c|@0"},
        {StatsdFault::rate, "x:1|c|@-1"},
        {StatsdFault::rate, "x:1|c|@1.5"},
        {StatsdFault::rate, "x:1|c|@nan"},
        {StatsdFault::rate, "x:1|c|@"},
        {StatsdFault::rate, "x:1|ms|@0.0001"},
        {StatsdFault::tags, "x:1|c|#:b"},
        {StatsdFault::tags, "x:1|c|#a:b,:"},
        {StatsdFault::negative, "x:-1|c"},
        {StatsdFault::negative, "x:1:-0.5|c"},
    };
    for (const auto& [fault, text] : table) {
        INFO(text);
        const StatsdLine line = read_statsd_line(text);
        CHECK(name_of(line.fault) == name_of(fault));
        CHECK_FALSE(line.why.empty());
    }
}

TEST_CASE("UDP addresses are numeric, and loopback ones are known") {
    const std::map<std::string, bool> table{
        {"127.0.0.1:8125", true},  {"127.8.9.1:0", true},     {"[::1]:8125", true},
        {"0.0.0.0:8125", false},   {"[::]:8125", false},      {"192.168.0.4:1", false},
        {"128.0.0.1:8125", false}, {"[fe80::1]:8125", false},
    };
    for (const auto& [text, is_loopback] : table) {
        INFO(text);
        UdpAddress address;
        REQUIRE(UdpAddress::parse(text, address));
        CHECK(address.text() == text);
        CHECK(address.is_loopback() == is_loopback);
    }
    for (const char* text : {"", ":8125", "localhost:8125", "127.0.0.1", "127.0.0.1:", "::1:8125",
                             "127.0.0.1:65536", "127.0.0.1:x", "[127.0.0.1]:1", "[::1:1", "[]:1"}) {
        INFO(text);
        UdpAddress address;
        CHECK_FALSE(UdpAddress::parse(text, address));
    }
}
