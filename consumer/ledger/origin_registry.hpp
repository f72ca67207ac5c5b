#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward::consumer {

struct OriginEntry {
    std::int32_t id = 0;
    std::string region;
    std::string app;
};

/// publisher and class → the leader's number for them. Remembers; bounded. One thread.
class OriginRegistry {
  public:
    struct NewOrigin {
        PublisherId publisher;
        std::string kind, region, app;
    };
    /// Those of `senders` that the leader does not have, once each: one statement for all. find()
    /// knows the others afterwards.
    std::vector<NewOrigin> find_unknown(PgConnection& leader,
                                        const std::vector<NewOrigin>& senders);
    /// Registers these, many in one statement: a flood of new publishers must not cost the batch a
    /// round trip for each. In transactions of its own, since other consumers must see them at
    /// once. find() knows them afterwards.
    void add(PgConnection& leader, const std::vector<NewOrigin>& senders);
    bool knows(const PublisherId& publisher, const std::string& kind) const {
        return known_.find({publisher, kind}) != known_.end();
    }
    /// Registers it if it is new.
    const OriginEntry& find(PgConnection& leader, const PublisherId& publisher,
                            const std::string& kind, const std::string& region,
                            const std::string& app);
    /// Where messages without an origin come from. `created_us`: of the stream.
    struct PlainStream {
        const std::string& name;
        std::int64_t created_us;
        const std::string& region;
    };
    struct PlainEntry {
        std::int32_t origin = 0;  ///< the stand-in of an app's messages in a stream
        std::int32_t source = 0;  ///< the leader's number for the stream
    };
    const PlainEntry& find_plain(PgConnection& leader, const PlainStream& stream,
                                 std::string_view app);
    /// Another leader may know other origins by the same numbers.
    void forget() {
        known_.clear();
        forget_plain();
    }

  private:
    using Key = std::pair<PublisherId, std::string>;

    using Senders = std::map<Key, const NewOrigin*>;

    Senders without_known(const std::vector<NewOrigin>& senders) const;
    void look_up(PgConnection& leader, Senders& unknown);
    void forget_plain() {
        last_ = {};
        plain_.clear();
    }

    /// Of the message before: mostly the next one is of the same app.
    struct Last {
        std::string stream, app;
        std::int64_t created_us = 0;
        const PlainEntry* entry = nullptr;
    };
    std::map<Key, OriginEntry> known_;
    std::unordered_map<std::string, PlainEntry> plain_;  // by stream, creation time and app
    Last last_;
};

}  // namespace homeward::consumer
