#pragma once

#include <string>
#include <utility>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Every setting that our statements depend on, whatever the defaults of server, database and role
/// are. A connection of our own has them for as long as it lives. Behind a pooler, which hands its
/// connections to others after every transaction, each transaction sets them for itself.
class SessionSettings {
  public:
    /// `server_version` as in 150004 for 15.4.
    SessionSettings(const Config::Postgres& config, int server_version);

    /// One more, with its value as SQL.
    void add(const std::string& name, const std::string& value);
    /// "SET a = 1; SET b = 2;"
    std::string for_session() const;
    /// "SET LOCAL …;", to be the first of a transaction; as many statements as size() says.
    std::string for_transaction() const;
    std::size_t size() const { return settings_.size(); }

  private:
    std::vector<std::pair<std::string, std::string>> settings_;
};

}  // namespace homeward::consumer
