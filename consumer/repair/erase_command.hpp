#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer erase`.
void add_erase_command(const Commands& commands);

}  // namespace homeward::consumer
