#include "consumer/ledger/origin_registry.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include "consumer/postgres/sql_text.hpp"

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

const OriginEntry& OriginRegistry::find(PgConnection& leader, const PublisherId& publisher,
                                        const std::string& kind, const std::string& region,
                                        const std::string& app) {
    const Key key{publisher, kind};
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
    add(leader, find_unknown(leader, {{publisher, kind, region, app}}));
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    // Forgotten by somebody just now.
    throw LeaderError("40001", "origin " + publisher.uuid() + " is not there", "");
}

/// Takes out what the leader knows. One that is finished is no more in the table that others are
/// added to, so all are looked for before any is added.
void OriginRegistry::look_up(PgConnection& leader, Senders& unknown) {
    std::vector<std::string> publishers, kinds;
    std::vector<const NewOrigin*> senders;
    for (const auto& [key, sender] : unknown) {
        publishers.push_back(sender->publisher.uuid());
        kinds.push_back(sender->kind);
        senders.push_back(sender);
    }
    // OFFSET 0: by an index probe for each, however few or many the leader takes them for.
    const QueryResult rows = leader.query(
        "SELECT n.i, k.id, k.region, k.app"
        " FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS n (publisher, class, i)"
        " CROSS JOIN LATERAL (SELECT id, region, app FROM homeward.known_origin o"
        " WHERE o.publisher = n.publisher AND o.class = n.class OFFSET 0) AS k",
        {array_text(publishers), array_text(kinds)});
    for (int row = 0; row < rows.rows(); ++row) {
        const NewOrigin& sender = *senders[static_cast<std::size_t>(rows.number(row, 0)) - 1];
        const Key key{sender.publisher, sender.kind};
        known_[key] = {static_cast<std::int32_t>(rows.number(row, 1)), std::string(rows.at(row, 2)),
                       std::string(rows.at(row, 3))};
        unknown.erase(key);
    }
}

/// In one order everywhere, or two writers could deadlock.
OriginRegistry::Senders OriginRegistry::without_known(const std::vector<NewOrigin>& senders) const {
    Senders unknown;
    for (const NewOrigin& sender : senders) {
        if (!knows(sender.publisher, sender.kind)) {
            unknown.emplace(Key{sender.publisher, sender.kind}, &sender);
        }
    }
    return unknown;
}

std::vector<OriginRegistry::NewOrigin> OriginRegistry::find_unknown(
    PgConnection& leader, const std::vector<NewOrigin>& senders) {
    Senders unknown = without_known(senders);
    if (known_.size() + unknown.size() > kKnownMax) {
        known_.clear();
        unknown = without_known(senders);
    }
    if (!unknown.empty()) look_up(leader, unknown);
    std::vector<NewOrigin> found;
    for (const auto& [key, sender] : unknown) found.push_back(*sender);
    return found;
}

void OriginRegistry::add(PgConnection& leader, const std::vector<NewOrigin>& senders) {
    Senders unknown = without_known(senders);
    if (unknown.empty()) return;
    std::vector<std::string> publishers, kinds, regions, apps;
    for (const auto& [key, sender] : unknown) {
        publishers.push_back(sender->publisher.uuid());
        kinds.push_back(sender->kind);
        regions.push_back(sender->region);
        apps.push_back(sender->app);
    }
    leader.query(
        "INSERT INTO homeward.origin (publisher, class, region, app)"
        " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])"
        " ON CONFLICT (publisher, class) DO NOTHING",
        {array_text(publishers), array_text(kinds), array_text(regions), array_text(apps)});
    look_up(leader, unknown);
}

const OriginRegistry::PlainEntry& OriginRegistry::find_plain(PgConnection& leader,
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
