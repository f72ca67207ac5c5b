#pragma once

#include "consumer/config.hpp"

namespace homeward::consumer {

/// Builds everything, consumes until SIGTERM or SIGINT, then commits what has arrived and stops.
/// Returns the exit code.
int run_service(const Config& config);

}  // namespace homeward::consumer
