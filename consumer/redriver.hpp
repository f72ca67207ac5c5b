#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "consumer/event_decoder.hpp"
#include "consumer/leader.hpp"
#include "consumer/partitions.hpp"
#include "consumer/row_copier.hpp"

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
    RedriveResult redrive(Leader& leader, std::span<const LetterRef> letters,
                          const std::function<void(std::size_t)>& on_progress = {});
    /// All that are parked of a type that is known by now.
    RedriveResult redrive_parked(Leader& leader);

  private:
    RedriveResult redrive_portion(Leader& leader, std::span<const LetterRef> letters);
    Units take(Leader& leader, std::span<const LetterRef> letters, std::vector<std::int64_t>& ids);
    void decode(FrameUnit& unit);
    static RedriveResult settle(Leader& leader, const Units& units,
                                const std::vector<std::int64_t>& ids);

    std::shared_ptr<const Catalog> catalog_;
    Partitions partitions_;
    RowCopier copier_;
    EventDecoder decoder_;
};

}  // namespace homeward::consumer
