#pragma once

#include "tests/support/servers/bridge.hpp"

namespace homeward::testing {

// What came of the audit events that a test has sent, as the leader has it.

std::int64_t rows(const PostgresServer& leader);
/// Of FrameSenders: one for each seq of each origin.
std::int64_t distinct_rows(const PostgresServer& leader);
std::int64_t dead_letters(const PostgresServer& leader);
std::int64_t conflicts(const PostgresServer& leader);

/// Waits until nothing is in flight; the proof must find nothing missing and nothing doubled.
void expect_clean(Bridge& bridge);

}  // namespace homeward::testing
