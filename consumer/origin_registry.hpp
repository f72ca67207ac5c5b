#pragma once

#include <map>
#include <string>
#include <utility>

#include "consumer/leader.hpp"
#include "schemas/publisher_id.hpp"

namespace homeward::consumer {

struct OriginEntry {
    std::int32_t id = 0;
    std::string region;
    std::string app;
};

/// publisher and class → the leader's number for them. Remembers; bounded. One thread.
class OriginRegistry {
  public:
    /// Registers the origin when it is new; in a transaction of its own, since other consumers
    /// must see it at once.
    const OriginEntry& find(Leader& leader, const PublisherId& publisher, const std::string& kind,
                            const std::string& region, const std::string& app);
    /// The stand-in origin of a stream's messages that carry none. `created_us`: of the stream.
    const OriginEntry& find_plain(Leader& leader, const std::string& stream,
                                  std::int64_t created_us, const std::string& region);
    /// Another leader may know other origins by the same numbers.
    void forget() { known_.clear(); }

  private:
    using Key = std::pair<PublisherId, std::string>;
    std::map<Key, OriginEntry> known_;
};

}  // namespace homeward::consumer
