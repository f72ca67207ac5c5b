#pragma once

#include <map>
#include <optional>
#include <string>

namespace homeward::testing {

/// The variables that an App reads, as given, and no others; as before at the end. One thread.
class Environment {
  public:
    using Variables = std::map<std::string, std::string>;
    explicit Environment(const Variables& variables);
    ~Environment();
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    static void set(const std::string& name, const std::optional<std::string>& value);

  private:
    std::map<std::string, std::optional<std::string>> before_;
};

/// Of an app in a replica region. Nothing listens at these addresses.
inline const Environment::Variables kReplicaRegion{
    {"PRIMARY_REGION", "scl"},
    {"FLY_REGION", "ams"},
    {"DATABASE_URL", "postgres://app:secret@db.internal/shop"},
    {"HOMEWARD_NATS_URL", "nats://app:secret@127.0.0.1:1"},
    {"HOMEWARD_REPLAY_KEYS", "k1:" + std::string(64, 'a')},
};

}  // namespace homeward::testing
