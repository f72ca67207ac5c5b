#include <homeward/replay/url_parts.hpp>

#include <algorithm>
#include <charconv>

#include "publisher/replay/connection/uri_pieces.hpp"

namespace homeward::replay {
namespace {

constexpr unsigned kPortMax = 65535;

unsigned default_port(Engine engine) {
    return engine == Engine::redis ? 6379 : 3306;
}

int value_of_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool decode(std::string_view text, std::string& decoded) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return false;
        const int high = value_of_digit(text[i + 1]);
        const int low = value_of_digit(text[i + 2]);
        if (high < 0 || low < 0) return false;
        decoded += static_cast<char>(high << 4 | low);
        i += 2;
    }
    return true;
}

/// "user:password@" behind the scheme.
bool read_user(std::string_view before_hosts, UrlParts& parts) {
    before_hosts.remove_prefix(before_hosts.find("://") + 3);
    if (before_hosts.empty()) return true;
    before_hosts.remove_suffix(1);
    const std::size_t colon = std::min(before_hosts.find(':'), before_hosts.size());
    return decode(before_hosts.substr(0, colon), parts.user) &&
           decode(before_hosts.substr(std::min(colon + 1, before_hosts.size())), parts.password);
}

bool read_host(std::string_view host_port, UrlParts& parts) {
    const auto [host, port] = split_port(host_port);
    if (host.empty() || host.find_first_of("@,") != std::string_view::npos) return false;
    const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (!decode(has_brackets ? host.substr(1, host.size() - 2) : host, parts.host)) return false;
    parts.port = default_port(parts.engine);
    if (port.size() <= 1) return true;
    const char* end_of_text = port.data() + port.size();
    const auto [end, error] = std::from_chars(port.data() + 1, end_of_text, parts.port);
    return error == std::errc() && end == end_of_text && parts.port > 0 && parts.port <= kPortMax;
}

}  // namespace

std::optional<UrlParts> parts_of_url(std::string_view url) {
    const auto engine = engine_of_url(url);
    if (engine != Engine::mysql && engine != Engine::mariadb && engine != Engine::redis) {
        return std::nullopt;
    }
    const UriPieces pieces = take_apart(url);
    UrlParts parts;
    parts.engine = *engine;
    parts.is_tls = url.starts_with("rediss://");
    if (!read_user(pieces.before_hosts, parts) || !read_host(pieces.hosts, parts)) {
        return std::nullopt;
    }
    const std::string_view path = pieces.path.empty() ? pieces.path : pieces.path.substr(1);
    return decode(path, parts.database) ? std::optional(parts) : std::nullopt;
}

}  // namespace homeward::replay
