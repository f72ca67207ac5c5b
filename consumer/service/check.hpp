#pragma once

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Tests the configuration against the live NATS and PostgreSQL; prints a line for each thing
/// looked at. Returns how many are wrong.
int run_check(const Config& config);

}  // namespace homeward::consumer
