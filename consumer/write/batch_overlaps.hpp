#pragma once

#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/ledger/ledger.hpp"

namespace homeward::consumer {

struct Overlap {
    MessageWork* work;        ///< of the batch
    ledger::Verdict verdict;  ///< overlap, or differs
};

/// The same frame twice in one batch would meet itself in the ledger only after both had their rows
/// copied. The first stays; a copy of it is marked as settled; anything else that overlaps it is
/// returned, and must be quarantined.
std::vector<Overlap> skip_overlaps(Batch& batch);

}  // namespace homeward::consumer
