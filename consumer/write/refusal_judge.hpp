#pragma once

#include <map>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/decode/event_decoder.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/write/row_copier.hpp"
#include "consumer/write/type_holds.hpp"

namespace homeward::consumer {

/// Decides what becomes of rows that the leader refused. A row is a dead letter, whatever its
/// SQLSTATE, when others of its type pass, or when its error is one of data and the table is as it
/// should be. If the table is not, or nothing of the type has passed yet, the row's message goes
/// back to its stream. One thread.
class RefusalJudge {
  public:
    RefusalJudge(const Config& config, const Catalog& catalog, TypeHolds& holds)
        : config_(config), catalog_(catalog), holds_(holds) {}

    /// To be called before a batch is written for the first time.
    void begin_batch() { may_write_.clear(); }
    /// Fills `dead` with the refusals that make dead letters. True: messages have been marked
    /// `returned`, so the transaction must be redone without them.
    bool judge(PgConnection& leader, Batch& batch, std::vector<CopyOutcome>& outcomes,
               std::vector<Refusal>& dead);
    /// Marks `returned` on messages with events of a type that is held, unless it is time to try
    /// the type again. True if there were any.
    bool return_held(Batch& batch);

  private:
    bool judge_type(PgConnection& leader, Batch& batch, CopyOutcome& outcome,
                    std::vector<Refusal>& dead);
    bool is_dead(const CopyOutcome& outcome, const Refusal& refusal);
    bool may_write(int type);
    static void return_all(Batch& batch, int type);

    const Config& config_;
    const Catalog& catalog_;
    TypeHolds& holds_;
    std::map<int, bool> may_write_;  // by type, of this batch
};

}  // namespace homeward::consumer
