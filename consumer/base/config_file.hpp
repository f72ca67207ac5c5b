#pragma once

#include <filesystem>

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Reads a TOML file into `config`. Throws ConfigError with file and line.
void read_file(Config& config, const std::filesystem::path& file);

}  // namespace homeward::consumer
