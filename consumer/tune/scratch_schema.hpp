#pragma once

#include <optional>
#include <string>

#include "consumer/base/config.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// A ledger and the table of one event type in a schema of their own, which ends with this object,
/// however that comes about; what a killed process has left behind, the next one drops. Connects as
/// postgres.owner_url. One thread.
class ScratchSchema {
  public:
    /// Throws LeaderError, with what to do about it when the role may not create a schema.
    ScratchSchema(const Config& config, const EventType& type);
    ~ScratchSchema();
    ScratchSchema(const ScratchSchema&) = delete;
    ScratchSchema& operator=(const ScratchSchema&) = delete;

    /// The same configuration, with everything of ours in this schema.
    const Config& config() const { return config_; }
    const std::string& name() const { return config_.postgres.ledger_schema; }
    /// No rows, no frames. Nobody may be writing.
    void empty();

  private:
    void create_and_lock();
    void create();
    void drop_left_behind();
    void drop_if_unused(const std::string& schema);
    void drop();

    Config config_;
    std::string tables_;
    PgConnection keeper_;
    std::optional<PgConnection> in_use_;  // has the lock that says so
};

}  // namespace homeward::consumer
