#pragma once

#include <set>
#include <vector>

#include "consumer/decode/message_work.hpp"
#include "consumer/ledger/ledger.hpp"

namespace homeward::consumer {

/// Streams that gave settled frames last, as one that was restored or mirrored does: it is full of
/// them, and none is marked as redelivered. A batch of theirs asks the ledger first, since the
/// leader's objection costs a batch that was written in vain. One thread.
class SettledStreams {
  public:
    /// Whether a frame of the batch is of such a stream, or was delivered before.
    bool have_any_of(const Batch& batch) const;
    /// What the ledger said of a batch. A stream leaves when all of its frames were fresh.
    void note(const Batch& batch, const std::vector<ledger::Verdict>& verdicts);

  private:
    std::set<const Stream*> streams_;
};

}  // namespace homeward::consumer
