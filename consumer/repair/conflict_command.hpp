#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer conflicts list|show|accept|discard`.
void add_conflict_commands(const Commands& commands);

}  // namespace homeward::consumer
