#pragma once

#include "tests/bench/support/report.hpp"

namespace homeward::bench {

/// The worst call of emit(), beside js_PublishMsgAsync of nats.c, while the server is stopped,
/// dead, gone silent, not there, talking nonsense, without a stream, full; and the disk is full.
void compare_blocking(double seconds, Report& report);

/// The same program as a process of its own that calls nats.c and may never come back:
/// PROGRAM --raw-nats URL SECONDS. Prints the worst call in microseconds.
inline constexpr const char* kRawNatsMode = "--raw-nats";
int run_raw_nats(int argc, char** argv);

}  // namespace homeward::bench
