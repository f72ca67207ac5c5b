#include <homeward/replay/connection_url.hpp>

#include <cstdlib>

namespace homeward::replay {
namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// The pieces of scheme://userinfo@host:port/rest, each as it stands.
struct Pieces {
    std::string_view before_host;
    std::string_view host;
    std::string_view port;  // with its colon
    std::string_view rest;
};

std::optional<Pieces> take_apart(std::string_view url) {
    const std::size_t scheme_end = url.find("://");
    const std::string_view scheme = url.substr(0, scheme_end);
    if (scheme != "postgres" && scheme != "postgresql") return std::nullopt;
    const std::size_t authority_begin = scheme_end + 3;
    const std::size_t authority_end =
        std::min(url.find_first_of("/?#", authority_begin), url.size());
    const std::string_view authority = url.substr(authority_begin, authority_end - authority_begin);
    // A password may hold an @ only percent-encoded, but the last one is the safe choice.
    const std::size_t at = authority.rfind('@');
    const std::size_t host_begin = at == std::string_view::npos ? 0 : at + 1;
    const std::string_view host_port = authority.substr(host_begin);
    const std::size_t bracket = host_port.rfind(']');
    const std::size_t colon = host_port.find(':', bracket == std::string_view::npos ? 0 : bracket);
    Pieces pieces;
    pieces.before_host = url.substr(0, authority_begin + host_begin);
    pieces.host = host_port.substr(0, colon);
    pieces.port = colon == std::string_view::npos ? std::string_view{} : host_port.substr(colon);
    pieces.rest = url.substr(authority_end);
    return pieces;
}

RegionalUrl fail(std::string what) {
    return {"", false, UrlError{std::move(what)}};
}

}  // namespace

RegionalUrl regional_url(std::string_view database_url, const Regions& regions,
                         const UrlOptions& options) {
    if (regions.is_primary()) return {std::string(database_url), false, std::nullopt};
    if (!options.replica_url.empty()) return {options.replica_url, true, std::nullopt};
    if (replay_to(regions.current).empty()) {
        return fail("FLY_REGION is not a region name: it must be of a-z, 0-9, - and _");
    }
    const auto pieces = take_apart(database_url);
    if (!pieces) return fail("DATABASE_URL must begin with postgres:// or postgresql://");
    if (pieces->host.empty()) return fail("DATABASE_URL names no host to put the region before");
    if (pieces->host.find(',') != std::string_view::npos) {
        return fail("DATABASE_URL names several hosts; set DATABASE_REPLICA_URL instead");
    }
    if (pieces->host.front() == '[') {
        return fail(
            "DATABASE_URL names an address; a region goes before a host name only; set "
            "DATABASE_REPLICA_URL instead");
    }
    RegionalUrl result;
    result.is_replica = true;
    result.url.append(pieces->before_host)
        .append(regions.current)
        .append(".")
        .append(pieces->host)
        .append(":")
        .append(std::to_string(options.replica_port))
        .append(pieces->rest);
    return result;
}

Regions regions_from_environment() {
    return {from_environment("PRIMARY_REGION"), from_environment("FLY_REGION")};
}

RegionalUrl url_from_environment() {
    UrlOptions options;
    options.replica_url = from_environment("DATABASE_REPLICA_URL");
    return regional_url(from_environment("DATABASE_URL"), regions_from_environment(), options);
}

}  // namespace homeward::replay
