#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consumer/postgres/pg_connection.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward::consumer {

/// This process in homeward.consumer, for as long as it beats. One thread.
class ConsumerRegistration {
  public:
    ConsumerRegistration();
    void beat(PgConnection& leader) const;

  private:
    std::string id_;
    std::string host_;
};

struct RegisteredConsumer {
    std::string host;
    std::string version;
    std::int64_t frame_version_max = 0;
    std::int64_t seen_s = 0;  ///< so many seconds ago
};
/// Those that were seen in the last 3 minutes.
std::vector<RegisteredConsumer> read_consumers(PgConnection& leader);

}  // namespace homeward::consumer
