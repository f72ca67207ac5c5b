#include "consumer/origin_registry.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace homeward::consumer {
namespace {

/// About 200 bytes each; forgotten all at once, as asking again is cheap.
constexpr std::size_t kKnownMax = 100'000;

/// Of an app's messages in a stream. The same stream, made again after it was lost, is another: its
/// sequence starts anew.
PublisherId plain_publisher(const std::string& name) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    EVP_Digest(name.data(), name.size(), digest.data(), &bytes, EVP_sha256(), nullptr);
    PublisherId id;
    std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
    return id;
}

}  // namespace

const OriginEntry& OriginRegistry::find(Leader& leader, const PublisherId& publisher,
                                        const std::string& kind, const std::string& region,
                                        const std::string& app) {
    const Key key{publisher, kind};
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    if (known_.size() >= kKnownMax) known_.clear();
    // Looked for first: one that is finished is no more in the table that others are added to.
    const auto look = [&] {
        return leader.query(
            "SELECT id, region, app FROM homeward.known_origin WHERE publisher = $1::uuid"
            " AND class = $2",
            {publisher.uuid(), kind});
    };
    QueryResult row = look();
    if (row.rows() == 0) {
        leader.query(
            "INSERT INTO homeward.origin (publisher, class, region, app)"
            " VALUES ($1::uuid, $2, $3, $4) ON CONFLICT (publisher, class) DO NOTHING",
            {publisher.uuid(), kind, region, app});
        row = look();
    }
    return known_[key] = {static_cast<std::int32_t>(row.number(0, 0)), std::string(row.at(0, 1)),
                          std::string(row.at(0, 2))};
}

const OriginRegistry::PlainEntry& OriginRegistry::find_plain(Leader& leader,
                                                             const PlainStream& stream,
                                                             std::string_view app) {
    const bool is_last = last_.entry != nullptr && last_.created_us == stream.created_us &&
                         last_.app == app && last_.stream == stream.name;
    if (is_last) return *last_.entry;
    const auto remember = [&](const PlainEntry& entry) -> const PlainEntry& {
        last_ = {stream.name, std::string(app), stream.created_us, &entry};
        return entry;
    };
    std::string name = stream.name + "\n" + std::to_string(stream.created_us) + "\n";
    name += app;
    if (const auto found = plain_.find(name); found != plain_.end()) return remember(found->second);
    if (plain_.size() >= kKnownMax) forget_plain();
    PlainEntry entry;
    entry.source =
        static_cast<std::int32_t>(leader
                                      .query("SELECT homeward.register_plain_source($1, $2)",
                                             {stream.name, stream.created_us})
                                      .number(0, 0));
    entry.origin = find(leader, plain_publisher(name), "plain", stream.region, std::string(app)).id;
    return remember(plain_[name] = entry);
}

}  // namespace homeward::consumer
