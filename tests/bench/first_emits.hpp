#pragma once

#include "tests/bench/support/report.hpp"

namespace homeward::bench {

/// What the first emit() costs a thread, and a forked child, which becomes a publisher of its own.
void measure_first_emits(Report& report);

}  // namespace homeward::bench
