#include <homeward/replay/connection_url.hpp>

#include <charconv>
#include <cstdlib>

#include "publisher/replay/connection/host_rule.hpp"

namespace homeward::replay {
namespace {

constexpr unsigned kPortMax = 65535;

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

constexpr const char* kUnknownScheme =
    "DATABASE_URL has a scheme whose replicas have no rule; set DATABASE_REPLICA_URL instead";

/// "mongodb+srv://…", whose members DNS names, and schemes that nobody knows here.
bool is_other_url(std::string_view text) {
    const std::size_t colon = text.find("://");
    return colon != std::string_view::npos && colon < text.find_first_of(" =");
}

Rewritten rewrite(std::string_view url, std::optional<Engine> engine, const HostRule& rule) {
    if (!engine) {
        return is_other_url(url) ? Rewritten{{}, kUnknownScheme} : rewrite_keywords(url, rule);
    }
    return *engine == Engine::postgresql ? rewrite_uri(url, rule)
                                         : rewrite_engine_uri(url, *engine, rule);
}

RegionalUrl fail(std::string what) {
    return {"", false, UrlError{std::move(what)}};
}

/// False when it is set to what is no port.
bool read_port(const std::string& text, std::optional<unsigned>& found) {
    if (text.empty()) return true;
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    found = port;
    return error == std::errc() && end == text.data() + text.size() && port <= kPortMax;
}

}  // namespace

std::optional<UrlRule> url_rule_of(std::string_view name) {
    if (name == "by_host") return UrlRule::by_host;
    if (name == "region_host") return UrlRule::region_host;
    if (name == "nearest") return UrlRule::nearest;
    if (name == "same_host") return UrlRule::same_host;
    return std::nullopt;
}

RegionalUrl regional_url(std::string_view database_url, const Regions& regions,
                         const UrlOptions& options) {
    if (regions.is_primary()) return {std::string(database_url), false, std::nullopt};
    if (!options.replica_url.empty()) return {options.replica_url, true, std::nullopt};
    if (replay_to(regions.current).empty()) {
        return fail("FLY_REGION is not a region name: it must be of a-z, 0-9, - and _");
    }
    const std::optional<Engine> engine = engine_of_url(database_url);
    const HostRule rule(regions, options, engine.value_or(Engine::postgresql));
    Rewritten url = rewrite(database_url, engine, rule);
    if (url.error != nullptr) return fail(url.error);
    return {std::move(url.text), true, std::nullopt};
}

Regions regions_from_environment() {
    return {from_environment("PRIMARY_REGION"), from_environment("FLY_REGION")};
}

RegionalUrl url_from_environment() {
    UrlOptions options;
    options.replica_url = from_environment("DATABASE_REPLICA_URL");
    if (!read_port(from_environment("DATABASE_REPLICA_PORT"), options.replica_port)) {
        return fail("DATABASE_REPLICA_PORT must be a port, or 0 to keep DATABASE_URL's");
    }
    const std::string rule = from_environment("DATABASE_REPLICA_RULE");
    if (!rule.empty()) {
        const auto known = url_rule_of(rule);
        if (!known) {
            return fail("DATABASE_REPLICA_RULE must be by_host, region_host, nearest or same_host");
        }
        options.rule = *known;
    }
    return regional_url(from_environment("DATABASE_URL"), regions_from_environment(), options);
}

}  // namespace homeward::replay
