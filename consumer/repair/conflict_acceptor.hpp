#pragma once

#include <cstdint>
#include <memory>

#include "consumer/decode/frame_decoder.hpp"
#include "consumer/ledger/ledger.hpp"
#include "consumer/postgres/partitions.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/write/row_copier.hpp"

namespace homeward::consumer {

/// What became of a frame that was quarantined.
struct Acceptance {
    enum class Kind : std::uint8_t {
        accepted,
        judged,      ///< accepted or discarded before, or just now by somebody else
        unreadable,  ///< its body is no frame's: nothing of it can be taken; it stays as it is
    };
    Kind kind = Kind::judged;
    std::uint64_t rows = 0;
    std::uint64_t dead_letters = 0;
    std::uint64_t tombstones = 0;
    std::uint64_t settled = 0;  ///< seqs that the ledger had: left as they are
};

/// Takes a frame that was quarantined for its origin's after all, whoever sent it: those of its
/// events whose seqs the ledger lacks become rows, dead letters or tombstones. They, their place in
/// the ledger and the conflict's end are one transaction, so each lands once. One thread.
class ConflictAcceptor {
  public:
    ConflictAcceptor(const Config& config, std::shared_ptr<const Catalog> catalog);

    /// Tries again what a lock or a deadlock with the consumers kept it from.
    Acceptance accept(PgConnection& leader, std::int64_t id);

  private:
    Acceptance accept_once(PgConnection& leader, std::int64_t id, TableDays& missing);
    bool take(PgConnection& leader, std::int64_t id, MessageWork& work);

    std::shared_ptr<const Catalog> catalog_;
    Partitions partitions_;
    RowCopier copier_;
    MessageDecoder decoder_;
};

}  // namespace homeward::consumer
