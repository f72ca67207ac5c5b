#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer repack`.
void add_repack_command(const Commands& commands);

}  // namespace homeward::consumer
