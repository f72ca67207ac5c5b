// What the replay helper reads from outside and writes elsewhere: the platform's headers, which may
// not be able to end themselves, and connection strings, which libpq must read as before but for
// hosts and ports.

#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/fly_replay.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "tests/fuzz/bytes.hpp"

using namespace homeward::replay;
using homeward::fuzz::Bytes;
using homeward::fuzz::require;

namespace {

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void check_headers(std::string_view text) {
    if (const auto source = parse_replay_src(text)) {
        for (const std::string* field : {&source->instance, &source->region, &source->state}) {
            require(is_printable(*field) && field->size() <= kStateBytesMax);
            require(field->find_first_of(";\"\\ ,") == std::string::npos);
        }
    }
    if (const auto failure = parse_replay_failed(text)) {
        require(is_printable(failure->detail) && failure->detail.size() <= kStateBytesMax);
    }
}

void check_target(Bytes& input) {
    ReplayTarget target;
    for (std::string* field :
         {&target.region, &target.instance, &target.prefer_instance, &target.app, &target.state}) {
        *field = input.take_text(input.take<std::uint8_t>() % 16);
    }
    const std::string header = header_form(target);
    require(header.empty() == (check(target) != TargetError::none));
    require(is_printable(header) && is_printable(json_form(target)));
    if (!header.empty() && target.region.find(',') == std::string::npos) {
        const auto read = parse_replay_src(header);
        require(read && read->region == target.region && read->state == target.state);
    }
}

using Settings = std::map<std::string, std::string>;

std::optional<Settings> read_by_libpq(const std::string& url) {
    PQconninfoOption* options = PQconninfoParse(url.c_str(), nullptr);
    if (options == nullptr) return std::nullopt;
    Settings settings;
    for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
        if (option->val != nullptr) settings[option->keyword] = option->val;
    }
    PQconninfoFree(options);
    return settings;
}

bool is_each_in_region(std::string_view hosts) {
    while (true) {
        const std::size_t comma = hosts.find(',');
        if (hosts.substr(0, 4) != "ams.") return false;
        if (comma == std::string_view::npos) return true;
        hosts.remove_prefix(comma + 1);
    }
}

void check_url(const std::string& url) {
    if (url.find('\0') != std::string::npos) return;
    UrlOptions options;
    options.rule = UrlRule::region_host;
    const RegionalUrl regional = regional_url(url, {"scl", "ams"}, options);
    require(regional.error.has_value() == regional.url.empty());
    auto before = read_by_libpq(url);
    if (regional.error || !before) return;
    auto after = read_by_libpq(regional.url);
    require(after.has_value());
    require(is_each_in_region((*after)["host"]) && after->count("hostaddr") == 0);
    require((*after)["port"].find("5432") == std::string::npos);
    for (const char* name : {"host", "port", "target_session_attrs"}) {
        before->erase(name);
        after->erase(name);
    }
    require(before == after);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes input(data, size);
    switch (input.take<std::uint8_t>() % 4) {
        case 0:
            check_headers(input.take_text(input.size()));
            break;
        case 1:
            check_target(input);
            break;
        case 2:
            check_url("postgres://" + std::string(input.take_text(input.size())));
            break;
        default:
            check_url(std::string(input.take_text(input.size())));
    }
    return 0;
}
