#pragma once

#include "tests/bench/support/drain.hpp"

namespace homeward::bench {

/// What an app does without Homeward: one prepared INSERT a row, each its own transaction, over
/// one connection, for so long. The one file of the benches that knows libpq.
Ingest insert_singly(Line& line, double seconds);

}  // namespace homeward::bench
