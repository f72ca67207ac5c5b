#pragma once

#include <string_view>
#include <utility>

#include "publisher/replay/connection/host_rule.hpp"

namespace homeward::replay {

/// The pieces of a URI, each as it stands.
struct UriPieces {
    std::string_view before_hosts;  ///< scheme, user and password
    std::string_view hosts;
    std::string_view path;
    std::string_view query;  ///< with its question mark
};

/// Cuts where libpq and the other engines' clients do: the first @ before any slash ends user and
/// password.
UriPieces take_apart(std::string_view uri);

/// Splits "host:port"; the port with its colon. An IPv6 address has its colons in brackets.
std::pair<std::string_view, std::string_view> split_port(std::string_view host_port);

/// "host:port,host:port" for the replica.
Rewritten rewrite_authority(std::string_view hosts, const HostRule& rule);

/// A bare @ in user or password. The client would take the rest of the password for a host.
inline constexpr const char* kBareAt =
    "DATABASE_URL has an @ in its user or password; write it as %40 there";

}  // namespace homeward::replay
