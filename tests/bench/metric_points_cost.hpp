#pragma once

#include "tests/bench/support/report.hpp"

namespace homeward::bench {

/// What a million measurements a second of 500 series cost the leader, beside one row each. It
/// takes six times `seconds`. Throws std::runtime_error, also if the leader's sums are not exact.
void compare_leader_cost(double seconds, Report& report);

}  // namespace homeward::bench
