// mysql://user:password@host:port/database?…, and the same of MariaDB, MongoDB and Redis.

#include <algorithm>
#include <string>

#include "publisher/replay/connection/uri_pieces.hpp"

namespace homeward::replay {
namespace {

constexpr const char* kManyMembers =
    "DATABASE_URL names several members of a MongoDB replica set, and a region has one; set "
    "DATABASE_REPLICA_URL instead";

constexpr std::string_view kDirect = "directConnection=true";

/// MongoDB's drivers look for the primary from any member, unless they are told to stay. With
/// "replicaSet" they would leave a member that answers with another name than the region's.
std::string stay_at_member(std::string_view query) {
    std::string text;
    while (!query.empty()) {
        query.remove_prefix(1);  // the question mark or an ampersand
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view parameter = query.substr(0, end);
        query.remove_prefix(end);
        const std::string_view name = parameter.substr(0, parameter.find('='));
        if (name == "replicaSet" || name == "directConnection") continue;
        text.append(text.empty() ? "?" : "&").append(parameter);
    }
    return text.append(text.empty() ? "?" : "&").append(kDirect);
}

Rewritten rewrite_mongodb(const UriPieces& pieces, const std::string& before) {
    if (pieces.hosts.find(',') != std::string_view::npos) return {{}, kManyMembers};
    // MongoDB wants the slash in front of its parameters.
    const std::string_view path = pieces.path.empty() ? "/" : pieces.path;
    return {before + std::string(path) + stay_at_member(pieces.query)};
}

}  // namespace

Rewritten rewrite_engine_uri(std::string_view uri, Engine engine, const HostRule& rule) {
    const UriPieces pieces = take_apart(uri);
    if (pieces.hosts.find('@') != std::string_view::npos) return {{}, kBareAt};
    Rewritten hosts = rewrite_authority(pieces.hosts, rule);
    if (hosts.error != nullptr) return hosts;
    const std::string before = std::string(pieces.before_hosts) + hosts.text;
    if (engine == Engine::mongodb) return rewrite_mongodb(pieces, before);
    return {before + std::string(pieces.path) + std::string(pieces.query)};
}

}  // namespace homeward::replay
