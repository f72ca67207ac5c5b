#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/postgres/partitions.hpp"
#include "consumer/postgres/pg_connection.hpp"
#include "consumer/write/row_copier.hpp"

namespace homeward::consumer {

/// A dead letter that waits, by its number.
struct LetterRef {
    std::int64_t id;
    std::size_t bytes;  ///< of its payload
};

/// What became of letters that were tried again. Those that somebody else has settled meanwhile
/// are in neither.
struct RedriveResult {
    std::uint64_t redriven = 0;
    std::uint64_t still_dead = 0;
};

/// Makes rows of dead letters, with the origin and seq that they have always had. The row and the
/// letter's end are one transaction, and the letter is locked in it: whoever tries it again, at
/// whatever time, it lands once. One thread.
class Redriver {
  public:
    Redriver(const Config& config, std::shared_ptr<const Catalog> catalog);

    /// `on_progress` hears how many letters have been looked at, after each transaction.
    RedriveResult redrive(PgConnection& leader, std::span<const LetterRef> letters,
                          const std::function<void(std::size_t)>& on_progress = {});
    /// All that are parked of a type that is known by now. Of one type at a time, since a table
    /// that refuses its rows (LeaderError) is to hold up no other's.
    RedriveResult redrive_parked(PgConnection& leader, const std::string& type);

  private:
    RedriveResult redrive_portion(PgConnection& leader, std::span<const LetterRef> letters);
    std::optional<RedriveResult> try_portion(PgConnection& leader,
                                             std::span<const LetterRef> letters,
                                             TableDays& missing);
    Batch take(PgConnection& leader, std::span<const LetterRef> letters,
               std::vector<std::int64_t>& ids);
    void decode(MessageWork& work);
    static RedriveResult settle(PgConnection& leader, const Batch& batch,
                                const std::vector<std::int64_t>& ids);

    std::shared_ptr<const Catalog> catalog_;
    Partitions partitions_;
    RowCopier copier_;
    EventDecoder decoder_;
};

}  // namespace homeward::consumer
