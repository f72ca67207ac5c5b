#include "consumer/origin_registry.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace homeward::consumer {
namespace {

/// About 200 bytes each; forgotten all at once, as asking again is cheap.
constexpr std::size_t kKnownMax = 100'000;

/// The same stream, made again after it was lost, is another origin: its sequence starts anew.
PublisherId stream_publisher(const std::string& stream, std::int64_t created_us) {
    const std::string name = stream + "\n" + std::to_string(created_us);
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

const OriginEntry& OriginRegistry::find_plain(Leader& leader, const std::string& stream,
                                              std::int64_t created_us, const std::string& region) {
    const PublisherId publisher = stream_publisher(stream, created_us);
    const bool is_known = known_.count({publisher, "plain"}) != 0;
    const OriginEntry& entry = find(leader, publisher, "plain", region, "-");
    if (!is_known) {
        leader.query(
            "INSERT INTO homeward.plain_stream (origin, stream, created)"
            " VALUES ($1, $2, to_timestamp($3::float8 / 1e6)) ON CONFLICT DO NOTHING",
            {std::to_string(entry.id), stream, created_us});
    }
    return entry;
}

}  // namespace homeward::consumer
