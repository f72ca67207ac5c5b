// postgres://user:password@host:port,host:port/database?name=value&…, as libpq reads it.

#include <algorithm>

#include "publisher/replay/connection/host_rule.hpp"

namespace homeward::replay {
namespace {

constexpr const char* kBareAt =
    "DATABASE_URL has an @ in its user or password; write it as %40 there";

constexpr const char* kHiddenName =
    "DATABASE_URL has a parameter whose name is percent-encoded; write it plainly";

/// The pieces of a URI, each as it stands.
struct Pieces {
    std::string_view before_hosts;  ///< scheme, user and password
    std::string_view hosts;
    std::string_view path;
    std::string_view query;  ///< with its question mark
};

/// Where libpq cuts: the first @ before any slash ends user and password.
Pieces take_apart(std::string_view uri) {
    const std::size_t authority_begin = uri.find("://") + 3;
    const std::size_t at = uri.find_first_of("@/", authority_begin);
    const bool has_user = at != std::string_view::npos && uri[at] == '@';
    const std::size_t hosts_begin = has_user ? at + 1 : authority_begin;
    const std::size_t hosts_end = std::min(uri.find_first_of("/?", hosts_begin), uri.size());
    const std::size_t query_begin = std::min(uri.find('?', hosts_end), uri.size());
    return {uri.substr(0, hosts_begin), uri.substr(hosts_begin, hosts_end - hosts_begin),
            uri.substr(hosts_end, query_begin - hosts_end), uri.substr(query_begin)};
}

/// Splits "host:port"; the port with its colon. An IPv6 address has its colons in brackets.
std::pair<std::string_view, std::string_view> split_port(std::string_view host_port) {
    const std::size_t bracket = host_port.rfind(']');
    const std::size_t colon = std::min(
        host_port.find(':', bracket == std::string_view::npos ? 0 : bracket), host_port.size());
    return {host_port.substr(0, colon), host_port.substr(colon)};
}

Rewritten rewrite_authority(std::string_view hosts, const HostRule& rule) {
    Rewritten all;
    while (true) {
        const std::size_t comma = hosts.find(',');
        const auto [host, port] = split_port(hosts.substr(0, comma));
        Rewritten one = rule.host(host);
        if (one.error != nullptr) return one;
        all.text += one.text + (rule.keeps_port() ? std::string(port) : ":" + rule.port());
        if (comma == std::string_view::npos) return all;
        all.text += ',';
        hosts.remove_prefix(comma + 1);
    }
}

struct Query {
    std::string text;
    bool has_host = false;
    bool has_port = false;
    const char* error = nullptr;
};

/// One "name=value".
void rewrite_parameter(std::string_view parameter, const HostRule& rule, Query& query) {
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view name = parameter.substr(0, equals);
    const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
    std::string text(parameter);
    if (name.find('%') != std::string_view::npos) {
        query.error = kHiddenName;
    } else if (name == "host") {
        const Rewritten hosts = rule.hosts(value);
        query.error = hosts.error;
        query.has_host = true;
        text = "host=" + hosts.text;
    } else if (name == "hostaddr" && !rule.keeps_host()) {
        query.error = kIsAddress;
    } else if (name == "port" && !rule.keeps_port()) {
        query.has_port = true;
        text = "port=" + rule.port();
    } else if (name == "target_session_attrs" && refuses_standby(value)) {
        text = "target_session_attrs=any";
    }
    query.text += text;
}

/// What it says wins over the authority, so it is rewritten first.
Query rewrite_query(std::string_view text, const HostRule& rule) {
    Query query;
    while (!text.empty()) {
        query.text += text.front();  // the question mark or an ampersand
        text.remove_prefix(1);
        const std::size_t end = std::min(text.find('&'), text.size());
        rewrite_parameter(text.substr(0, end), rule, query);
        if (query.error != nullptr) return query;
        text.remove_prefix(end);
    }
    if (query.has_host && !query.has_port && !rule.keeps_port()) {
        // libpq takes an ampersand at the end, but not two in a row.
        query.text += (query.text.back() == '&' ? "port=" : "&port=") + rule.port();
    }
    return query;
}

}  // namespace

Rewritten rewrite_uri(std::string_view uri, const HostRule& rule) {
    const Pieces pieces = take_apart(uri);
    // libpq would take the rest of the password for a host, and name it in its errors.
    if (pieces.hosts.find('@') != std::string_view::npos) return {{}, kBareAt};
    const Query query = rewrite_query(pieces.query, rule);
    if (query.error != nullptr) return {{}, query.error};
    Rewritten authority{std::string(pieces.hosts)};
    if (!query.has_host) authority = rewrite_authority(pieces.hosts, rule);
    if (authority.error != nullptr) return authority;
    std::string text(pieces.before_hosts);
    return {text.append(authority.text).append(pieces.path).append(query.text)};
}

}  // namespace homeward::replay
