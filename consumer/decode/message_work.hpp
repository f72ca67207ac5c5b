#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "consumer/nats/pulled_message.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {

/// One row of one event, in the unit's `rows`; where the event stands, in case it has to become a
/// dead letter.
struct EventRow {
    int type;
    std::uint64_t seq;
    std::uint32_t begin, end;  ///< in MessageWork::rows
    /// Where it stands in MessageWork::body; of columns, its block and its place there.
    std::uint32_t line_begin, line_end;
    std::int64_t time_us;
};

/// An event that will not be a row.
struct DeadEvent {
    std::uint64_t seq;
    bool parked;  ///< of a type that is not known yet
    std::string type;
    std::string reason;
    std::string sqlstate;
    std::string payload;
};

struct Tombstone {
    std::uint64_t seq_first, seq_last;
    std::string reason;
};

/// One message as the ledger sees it: a run of seqs of one origin, with what became of each.
/// For a message without an origin the seqs are reserved before the transaction; until then they
/// count from 1 within the message.
struct MessageWork {
    PulledMessage pulled;
    std::int32_t origin = 0;
    bool is_plain = false;
    std::int32_t plain_source = 0;  ///< of a plain message: the leader's number for its stream
    bool is_one_event = false;      ///< a plain message whose line ends are within its one event
    bool is_mark = false;           ///< count only: no seqs
    bool closing = false;
    std::uint64_t seq_first = 1;
    std::uint64_t seq_count = 0;
    std::uint64_t accepted = 0;
    FrameHeader header;  ///< of a frame

    bool is_newer = false;  ///< a frame that only a newer consumer can read
    /// The stream shall have it again later: there is no room for its dead events.
    bool nak_later = false;
    std::string refusal;  ///< set: no frame at all; the message is one dead letter

    // What follows is made anew by every attempt to write the batch; see reset().
    bool skip = false;         ///< settled already, quarantined, or given back
    bool is_settled = false;   ///< skipped as the ledger, or its batch, has it already
    bool is_conflict = false;  ///< quarantined; counted once it is committed
    bool is_refused = false;   ///< its body cannot be read: one dead letter for all of it
    std::string body;
    bool is_columns = false;         ///< how the body has its events: else as lines
    std::string types;               ///< of columns: their definitions
    std::uint32_t values_bytes = 0;  ///< of columns: FrameContent::values_bytes
    std::string rows;
    std::vector<EventRow> events;
    std::vector<DeadEvent> dead;
    std::vector<Tombstone> tombstones;

    void reset() {
        skip = false;
        is_settled = false;
        is_conflict = false;
        is_refused = false;
        rows.clear();
        events.clear();
        dead.clear();
        tombstones.clear();
    }
    std::uint64_t seq_last() const { return seq_first + seq_count - 1; }
};

using Units = std::vector<MessageWork>;

}  // namespace homeward::consumer
