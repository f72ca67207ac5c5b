#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer tune`.
void add_tune_command(const Commands& commands);

}  // namespace homeward::consumer
