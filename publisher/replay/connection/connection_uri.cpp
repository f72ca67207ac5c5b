// postgres://user:password@host:port,host:port/database?name=value&…, as libpq reads it.

#include <algorithm>

#include "publisher/replay/connection/uri_pieces.hpp"

namespace homeward::replay {
namespace {

constexpr const char* kHiddenName =
    "DATABASE_URL has a parameter whose name is percent-encoded; write it plainly";

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
    const UriPieces pieces = take_apart(uri);
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
