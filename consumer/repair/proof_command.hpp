#pragma once

#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// `homeward-consumer proof …`; `words` begins behind "proof". Returns the exit status. Throws
/// UsageError, LeaderError.
int run_proof(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
