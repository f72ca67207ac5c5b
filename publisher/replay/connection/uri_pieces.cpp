#include "publisher/replay/connection/uri_pieces.hpp"

#include <algorithm>

namespace homeward::replay {
std::pair<std::string_view, std::string_view> split_port(std::string_view host_port) {
    const std::size_t bracket = host_port.rfind(']');
    const std::size_t colon = std::min(
        host_port.find(':', bracket == std::string_view::npos ? 0 : bracket), host_port.size());
    return {host_port.substr(0, colon), host_port.substr(colon)};
}

UriPieces take_apart(std::string_view uri) {
    const std::size_t authority_begin = uri.find("://") + 3;
    const std::size_t at = uri.find_first_of("@/", authority_begin);
    const bool has_user = at != std::string_view::npos && uri[at] == '@';
    const std::size_t hosts_begin = has_user ? at + 1 : authority_begin;
    const std::size_t hosts_end = std::min(uri.find_first_of("/?", hosts_begin), uri.size());
    const std::size_t query_begin = std::min(uri.find('?', hosts_end), uri.size());
    return {uri.substr(0, hosts_begin), uri.substr(hosts_begin, hosts_end - hosts_begin),
            uri.substr(hosts_end, query_begin - hosts_end), uri.substr(query_begin)};
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

}  // namespace homeward::replay
