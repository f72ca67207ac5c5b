#pragma once

#include <cstdint>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Reads the history of every stream that keeps one again, from `since_us` on, and commits what the
/// leader's ledger does not have: after the leader was restored from a backup. Beside a running
/// consumer or without one, and as often as one likes. Returns the exit code: 1 when frames were
/// quarantined.
int run_replay(const Config& config, std::int64_t since_us);

}  // namespace homeward::consumer
