#include "tests/publisher/app/environment.hpp"

#include <cstdlib>

namespace homeward::testing {
namespace {

constexpr const char* kNames[] = {
    "PRIMARY_REGION",
    "FLY_REGION",
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "DATABASE_REPLICA_PORT",
    "DATABASE_REPLICA_RULE",
    "REPLAY_ACCEL_PREFIX",
    "HOMEWARD_REPLAY_KEYS",
    "HOMEWARD_REGION",
    "HOMEWARD_NATS_URL",
    "HOMEWARD_NATS_NKEY_FILE",
    "HOMEWARD_NATS_CREDENTIALS_FILE",
    "HOMEWARD_NATS_INBOX_PREFIX",
    "HOMEWARD_NATS_TLS_CA_FILE",
    "HOMEWARD_NATS_TLS_CERT_FILE",
    "HOMEWARD_NATS_TLS_KEY_FILE",
    "HOMEWARD_SPOOL_DIR",
    "HOMEWARD_LANE_DIR",
};

}  // namespace

Environment::Environment(const Variables& variables) {
    for (const char* name : kNames) {
        const char* value = std::getenv(name);
        before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
        set(name, std::nullopt);
    }
    for (const auto& [name, value] : variables) set(name, value);
}

Environment::~Environment() {
    for (const auto& [name, value] : before_) set(name, value);
}

void Environment::set(const std::string& name, const std::optional<std::string>& value) {
    if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
    } else {
        ::unsetenv(name.c_str());
    }
}

}  // namespace homeward::testing
