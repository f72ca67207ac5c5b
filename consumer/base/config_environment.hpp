#pragma once

#include "consumer/base/config.hpp"

namespace homeward::consumer {

/// Applies the environment variables HOMEWARD_<SECTION>_<KEY> and HOMEWARD_SOURCES to `config`.
/// Adds a warning for each unknown variable HOMEWARD_…. Throws ConfigError for an invalid value and
/// for an unknown variable that resembles a setting.
void apply_environment(Config& config);

}  // namespace homeward::consumer
