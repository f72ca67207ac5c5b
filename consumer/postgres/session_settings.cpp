#include "consumer/postgres/session_settings.hpp"

namespace homeward::consumer {

SessionSettings::SessionSettings(const Config::Postgres& config, int server_version) {
    constexpr int kTransactionTimeoutFrom = 170000;
    const std::string lock_ms = std::to_string(config.lock_timeout_ms);
    const std::string statement_ms = std::to_string(config.statement_timeout_ms);
    // First: a transaction takes its isolation before its first query.
    add("transaction_isolation", "'read committed'");
    add("lock_timeout", lock_ms);
    add("statement_timeout", statement_ms);
    add("idle_in_transaction_session_timeout", statement_ms);
    // A proof, an erasure and a day's packing take as long as they need.
    if (server_version >= kTransactionTimeoutFrom) add("transaction_timeout", "0");
    add("timezone", "'UTC'");
    add("datestyle", "'ISO'");
    add("intervalstyle", "'postgres'");
    add("bytea_output", "'hex'");
    add("extra_float_digits", "1");
    add("standard_conforming_strings", "on");
    add("array_nulls", "on");
    // Types and names as the catalog has them: we compare them with our own.
    add("quote_all_identifiers", "off");
}

void SessionSettings::add(const std::string& name, const std::string& value) {
    settings_.emplace_back(name, value);
}

std::string SessionSettings::for_session() const {
    std::string sql;
    for (const auto& [name, value] : settings_) {
        // A session has a default of it, a transaction has it.
        const bool is_isolation = name == "transaction_isolation";
        sql += std::string("SET ") + (is_isolation ? "default_" : "") + name + " = " + value + "; ";
    }
    return sql;
}

std::string SessionSettings::for_transaction() const {
    std::string sql;
    for (const auto& [name, value] : settings_) {
        sql += "SET LOCAL ";
        sql += name;
        sql += " = ";
        sql += value;
        sql += "; ";
    }
    return sql;
}

}  // namespace homeward::consumer
