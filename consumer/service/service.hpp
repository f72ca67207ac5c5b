#pragma once

#include <filesystem>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Builds everything, consumes until SIGTERM or SIGINT, then commits what has arrived and stops,
/// within 5 s in any case. SIGHUP reads `file` again and takes over its [batch]. Returns the exit
/// code.
int run_service(const Config& config, const std::filesystem::path& file);

}  // namespace homeward::consumer
