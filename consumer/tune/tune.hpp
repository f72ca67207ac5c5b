#pragma once

#include <string>
#include <vector>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// homeward-consumer tune: `words` behind that word. Returns the exit status; throws UsageError.
int run_tune(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
