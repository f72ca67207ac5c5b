#pragma once

#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// `homeward-consumer dead-letters …`; `words` begins behind "dead-letters". Returns the exit
/// status. Throws UsageError, LeaderError.
int run_dead_letters(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
