#pragma once

#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// `homeward-consumer erase …`; `words` begins behind "erase". Returns the exit status. Throws
/// UsageError, LeaderError.
int run_erase(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
