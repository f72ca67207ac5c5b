#pragma once

/// @file
/// PostgreSQL's errors as causes. Pure; any thread.

#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

/// SQLSTATE of "cannot execute … in a read-only transaction".
inline constexpr std::string_view kReadOnlySqlTransaction = "25006";
/// What a hot standby says to SERIALIZABLE and to unlogged tables; other servers to other things.
inline constexpr std::string_view kFeatureNotSupported = "0A000";

/// What an SQLSTATE means. Any thread.
/// @param sqlstate five characters, or "" for no error
/// @return Cause::other for an SQLSTATE without a rule
Cause cause_of_sqlstate(std::string_view sqlstate);

}  // namespace homeward::replay
