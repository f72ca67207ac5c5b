#pragma once

#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// `homeward-consumer conflicts …`; `words` begins behind "conflicts". Returns the exit status.
/// Throws UsageError, LeaderError.
int run_conflicts(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
