#pragma once

/// @file
/// The database engines that the replay helper knows. Pure; any thread.

#include <cstdint>
#include <optional>
#include <string_view>

namespace homeward::replay {

/// A database engine.
enum class Engine : std::uint8_t {
    postgresql,
    mysql,
    mariadb,
    mongodb,
    redis,  ///< and Valkey
};

/// The name of an engine as in a session token, "mariadb". Any thread.
/// @param engine any
/// @return a literal
std::string_view name_of(Engine engine);
/// The engine of a name. Any thread.
/// @param name as name_of() gives it
/// @return nothing for any other name
std::optional<Engine> engine_of(std::string_view name);
/// The engine of a connection string, by its scheme. Any thread.
/// @param url "postgres://…", "postgresql://…", "mysql://…", "mariadb://…", "mongodb://…",
///     "redis://…" or "rediss://…"
/// @return nothing for any other text, as libpq's "host=… port=…"
std::optional<Engine> engine_of_url(std::string_view url);

/// Whether one client library speaks to both, by URLs of either scheme: MySQL and MariaDB. Any
/// thread.
/// @param one any
/// @param other any
/// @return true also for the same engine
bool shares_client(Engine one, Engine other);

}  // namespace homeward::replay
