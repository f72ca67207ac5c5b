#pragma once

/// @file
/// The parts of another engine's URL, for client libraries that take them one by one. Pure; any
/// thread.

#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/engine.hpp>

namespace homeward::replay {

/// The parts of a URL, percent-decoded.
struct UrlParts {
    Engine engine = Engine::mysql;  ///< by its scheme
    bool is_tls = false;            ///< rediss://
    std::string user;               ///< empty: none
    std::string password;           ///< empty: none
    std::string host;               ///< without brackets
    unsigned port = 0;              ///< the engine's own if the URL has none
    std::string database;           ///< behind the first slash; empty: none
};

/// Takes a URL of MySQL, MariaDB or Redis apart. Any thread.
/// @param url "mysql://user:password@host:port/database?…"; parameters are left out
/// @return nothing for another scheme, several hosts, no host, a bad port or a bad percent sign
std::optional<UrlParts> parts_of_url(std::string_view url);

}  // namespace homeward::replay
