#pragma once

#include "consumer/base/command.hpp"

namespace homeward::consumer {

/// `homeward-consumer backfill`, which reads the history of every stream that keeps one again and
/// commits what the leader's ledger does not have: after the leader was restored from a backup.
/// With or without a running consumer, and as often as needed. Exit status 1 when frames were
/// quarantined. Until 1.0 the command has its old name `replay`, too.
void add_backfill_command(const Commands& commands);

}  // namespace homeward::consumer
