#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer proof`, and `proof abandon`.
void add_proof_commands(const Commands& commands);

}  // namespace homeward::consumer
