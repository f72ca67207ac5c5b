#pragma once

#include <string>
#include <string_view>

#include <homeward/replay/connection_url.hpp>

namespace homeward::replay {

/// Text that was rewritten, or why it could not be; never both.
struct Rewritten {
    std::string text;
    const char* error = nullptr;
};

/// Turns DATABASE_URL's hosts and ports into the replica's. Borrows what it is made of.
class HostRule {
  public:
    HostRule(const Regions& regions, const UrlOptions& options, Engine engine)
        : regions_(regions), options_(options), port_(port_for(options, engine)) {}

    Rewritten host(std::string_view host) const;
    /// With commas between them.
    Rewritten hosts(std::string_view hosts) const;

    bool keeps_host() const { return options_.rule == UrlRule::same_host; }
    bool keeps_port() const { return port_ == 0; }
    std::string port() const { return std::to_string(port_); }

  private:
    /// The guide's port for PostgreSQL; the other engines have no proxy in front of their servers.
    static unsigned port_for(const UrlOptions& options, Engine engine) {
        return options.replica_port.value_or(engine == Engine::postgresql ? kReplicaPort : 0);
    }
    Rewritten name_of_app(std::string_view host) const;

    const Regions& regions_;
    const UrlOptions& options_;
    const unsigned port_;
};

/// A value of target_session_attrs that no standby satisfies.
bool refuses_standby(std::string_view target_session_attrs);

/// The forms of a connection string: libpq's two, and the other engines' URLs.
Rewritten rewrite_uri(std::string_view uri, const HostRule& rule);
Rewritten rewrite_keywords(std::string_view keywords, const HostRule& rule);
Rewritten rewrite_engine_uri(std::string_view uri, Engine engine, const HostRule& rule);

inline constexpr const char* kNoHost =
    "DATABASE_URL names no host to put the region before; set DATABASE_REPLICA_URL instead";
inline constexpr const char* kIsAddress =
    "DATABASE_URL names an address or a socket; a region goes before a plain host name only; set "
    "DATABASE_REPLICA_URL instead";

}  // namespace homeward::replay
