#pragma once

/// @file
/// What a database error means for the replay helper, independent of the engine. postgres.hpp maps
/// PostgreSQL's SQLSTATE to it; mysql.hpp, mongodb.hpp, redis.hpp and sqlite.hpp map the codes of
/// other engines. Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace homeward::replay {

/// What a database error means.
enum class Cause : std::uint8_t {
    none,             ///< no error
    read_only,        ///< a write, to a server or in a transaction that only reads
    unsupported,      ///< what a read replica cannot do; other servers say so to other things
    unknown_name,     ///< a table, column or function that this server does not have
    conflict,         ///< cancelled: for another transaction, or for the log that a replica applies
    connection,       ///< lost or refused, or the server is starting or ending
    outcome_unknown,  ///< a COMMIT of which nobody knows: never to be tried again blindly
    other,            ///< the app's own
};
/// The number of causes.
inline constexpr std::size_t kCauses = static_cast<std::size_t>(Cause::other) + 1;

/// One error of an engine: a row of its header's table.
template <typename Code>
struct CodedCause {
    Code code;                ///< as the engine's client library gives it
    std::string_view name;    ///< as the engine's source calls it
    Cause cause;              ///< what it means
    std::string_view source;  ///< of code and name: program, version, file
};

/// The name of a cause as in rules.json, "read_only". Any thread.
/// @param cause any
/// @return a literal
std::string_view name_of(Cause cause);

}  // namespace homeward::replay
