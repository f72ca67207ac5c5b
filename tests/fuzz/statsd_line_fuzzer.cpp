// What StatsD clients send: a line that is taken has only parts that it promises, all of them views
// into the line, and means the same when it is written again.

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "publisher/tools/emit/statsd_line.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using homeward::fuzz::require;

namespace {

bool is_inside(std::string_view part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

std::vector<double> check_values(const StatsdLine& line) {
    std::vector<double> values;
    std::string_view rest = line.values;
    for (std::string_view text; next_value(rest, text);) {
        const auto value = read_statsd_value(text);
        require(value && std::isfinite(value->number));
        require(!value->whole || static_cast<double>(*value->whole) == value->number);
        if (line.type == StatsdType::counter) {
            require(value->number >= 0 && value->number / line.rate <= 4.7e18);
        }
        values.push_back(value->number);
    }
    require(!values.empty());
    return values;
}

std::string check_tags(const StatsdLine& line) {
    std::string written;
    std::string_view rest = line.tags;
    for (StatsdTag tag; next_tag(rest, tag);) {
        require(!tag.key.empty() && is_inside(tag.key, line.tags));
        require(tag.key.find(':') == std::string_view::npos);
        require(tag.value.find(',') == std::string_view::npos);
        require(tag.value == "true" || is_inside(tag.value, line.tags));
        written +=
            (written.empty() ? "" : ",") + std::string(tag.key) + ":" + std::string(tag.value);
    }
    return written;
}

void check(std::string_view text) {
    const StatsdLine line = read_statsd_line(text);
    if (line.fault != StatsdFault::none) {
        require(!line.why.empty() && !name_of(line.fault).empty());
        return;
    }
    require(!line.name.empty() && is_inside(line.name, text) && is_inside(line.values, text));
    require(line.rate > 0 && line.rate <= 1);
    const std::vector<double> values = check_values(line);
    const std::string tags = check_tags(line);

    constexpr std::string_view kTypes[] = {"c", "g", "ms", "h"};
    const std::string again = std::string(line.name) + ":" + std::string(line.values) + "|" +
                              std::string(kTypes[static_cast<std::size_t>(line.type)]) + "|#" +
                              tags;
    const StatsdLine second = read_statsd_line(again);
    require(second.fault == StatsdFault::none && second.type == line.type);
    require(check_values(second) == values && check_tags(second) == tags);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        check(text.substr(0, end));
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return 0;
}
