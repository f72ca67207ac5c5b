#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "consumer/config.hpp"

namespace homeward::consumer {

/// A word of the command line that makes no sense; says which.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// `homeward-consumer dead-letters …`; `words` begins behind "dead-letters". Returns the exit
/// status. Throws UsageError, LeaderError.
int run_dead_letters(const Config& config, const std::vector<std::string>& words);

}  // namespace homeward::consumer
