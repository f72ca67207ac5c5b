#pragma once

// PostgreSQL's errors as causes. Pure; any thread.

#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

/// SQLSTATE of "cannot execute … in a read-only transaction".
inline constexpr std::string_view kReadOnlySqlTransaction = "25006";
/// What a hot standby says to SERIALIZABLE and to unlogged tables; other servers to other things.
inline constexpr std::string_view kFeatureNotSupported = "0A000";

/// `sqlstate`: five characters, or "" for no error. What is not known here is Cause::other.
Cause cause_of_sqlstate(std::string_view sqlstate);

}  // namespace homeward::replay
