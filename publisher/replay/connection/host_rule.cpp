#include "publisher/replay/connection/host_rule.hpp"

#include <algorithm>

namespace homeward::replay {
namespace {

constexpr std::string_view kNearestPrefix = "top1.nearest.of.";
constexpr std::string_view kPrivateSuffix = ".internal";
constexpr std::string_view kFlycastSuffix = ".flycast";

constexpr std::string_view kPublicSuffix = ".fly.dev";

constexpr const char* kIsPublic =
    "DATABASE_URL names a public address, which is one for all regions; use the private "
    "<app>.internal, or set DATABASE_REPLICA_URL";
constexpr const char* kIsManaged =
    "DATABASE_URL names a managed database, whose replicas have no name by region; set "
    "DATABASE_REPLICA_URL instead";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

/// Only what is surely a name: not a directory, an abstract socket, an IPv6 address, nor anything
/// that a URL spells with percent signs.
bool is_name(std::string_view host) {
    return std::all_of(host.begin(), host.end(), is_name_char) &&
           !std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

/// "top<n>.nearest.of." taken off.
std::string_view without_nearest(std::string_view host) {
    if (host.substr(0, 3) != "top") return host;
    std::string_view rest = host.substr(3);
    while (!rest.empty() && is_digit(rest.front())) rest.remove_prefix(1);
    constexpr std::string_view kNearestOf = ".nearest.of.";
    const bool is_nearest = rest.substr(0, kNearestOf.size()) == kNearestOf;
    return is_nearest ? rest.substr(kNearestOf.size()) : host;
}

/// "<region>." taken off, unless nothing but a suffix would be left.
std::string_view without_region(std::string_view host, std::string_view region) {
    if (host.substr(0, region.size()) != region) return host;
    const std::string_view rest = host.substr(region.size());
    const bool is_label = !rest.empty() && rest.front() == '.';
    return is_label && rest.find('.', 1) != std::string_view::npos ? rest.substr(1) : host;
}

}  // namespace

Rewritten HostRule::name_of_app(std::string_view host) const {
    host = without_region(without_nearest(host), regions_.primary);
    if (host.ends_with(kPublicSuffix)) return {{}, kIsPublic};
    if (!host.ends_with(kFlycastSuffix)) return {std::string(host)};
    host.remove_suffix(kFlycastSuffix.size());
    // "<app>.flycast" is one address for all of an app's machines; "pgbouncer.<id>.flycast" and
    // "direct.<id>.flycast" are not an app of ours.
    if (host.find('.') != std::string_view::npos) return {{}, kIsManaged};
    return {std::string(host).append(kPrivateSuffix)};
}

Rewritten HostRule::host(std::string_view host) const {
    if (keeps_host()) return {std::string(host)};
    if (host.empty()) return {{}, kNoHost};
    if (!is_name(host)) return {{}, kIsAddress};
    if (options_.rule == UrlRule::region_host) {
        return {regions_.current + "." + std::string(host)};
    }
    Rewritten app = name_of_app(host);
    if (app.error != nullptr) return app;
    const bool is_nearest = options_.rule == UrlRule::nearest;
    return {(is_nearest ? std::string(kNearestPrefix) : regions_.current + ".") + app.text};
}

Rewritten HostRule::hosts(std::string_view hosts) const {
    Rewritten all;
    while (true) {
        const std::size_t comma = hosts.find(',');
        Rewritten one = host(hosts.substr(0, comma));
        if (one.error != nullptr) return one;
        all.text += one.text;
        if (comma == std::string_view::npos) return all;
        all.text += ',';
        hosts.remove_prefix(comma + 1);
    }
}

bool refuses_standby(std::string_view target_session_attrs) {
    return target_session_attrs == "read-write" || target_session_attrs == "primary";
}

}  // namespace homeward::replay
