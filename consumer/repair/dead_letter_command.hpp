#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer dead-letters list|sources|show|redrive|discard`.
void add_dead_letter_commands(const Commands& commands);

}  // namespace homeward::consumer
