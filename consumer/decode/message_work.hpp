#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "consumer/nats/pulled_message.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {

/// One row of one event, in the message's `rows`; where the event stands, in case it has to become
/// a dead letter.
struct EventRow {
    int type;
    std::uint64_t seq;
    std::uint32_t begin, end;  ///< in MessageWork::rows; equal: of its block in `packed`
    /// Where it stands in MessageWork::body; of columns, its block and its place there.
    std::uint32_t line_begin, line_end;
    std::int64_t time_us;

    bool has_row() const { return end != begin; }
};

/// Events of a block of columns, all of one day, as a pack has them (pack_form.hpp): the block, or
/// a part of one that has more events than a pack.
struct PackedBlock {
    struct Values {
        std::string data;       ///< joined, or an array's elements; empty if all are NULL
        std::size_t nulls = 0;  ///< how many are
    };
    std::uint32_t event_first = 0;  ///< within the block of columns
    std::uint32_t events = 0;
    std::vector<std::uint64_t> seqs;  ///< one an event
    std::string times;                ///< an array's elements
    std::int64_t time_first_us = 0;   ///< the earliest
    std::int64_t time_last_us = 0;
    std::vector<Values> fields;  ///< of the type's; extra is NULL

    std::size_t bytes() const {
        std::size_t sum = times.size();
        for (const Values& values : fields) sum += values.data.size();
        return sum;
    }
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
    enum class Kind : std::uint8_t {
        frame,
        heartbeat,    ///< a frame that only says how many events there are: no seqs
        newer_frame,  ///< one that only a newer consumer can read
        plain_lines,  ///< of any NATS client: one event a line; also what is no frame at all
        plain_event,  ///< the same, with line ends within its one event
    };
    /// What the batch at hand does with it.
    enum class State : std::uint8_t {
        writing,      ///< its events become rows, or dead letters
        settled,      ///< nothing: the ledger, or the batch, has it already
        quarantined,  ///< keeps it as a conflict
        returned,     ///< the stream shall have it again later, as there is no room for it now
    };

    PulledMessage pulled;
    Kind kind = Kind::frame;
    State state = State::writing;
    std::int32_t origin = 0;
    std::int32_t plain_source = 0;  ///< of a plain message: the leader's number for its stream
    bool closing = false;
    std::uint64_t seq_first = 1;
    std::uint64_t seq_count = 0;
    std::uint64_t accepted = 0;
    FrameHeader header;   ///< of a frame
    std::string refusal;  ///< set: no frame at all; the message is one dead letter

    // What follows is made anew by every attempt to write the batch; see reset().
    bool is_refused = false;  ///< its body cannot be read: one dead letter for all of it
    std::string body;
    bool is_columns = false;         ///< how the body has its events: else as lines
    std::string types;               ///< of columns: their definitions
    std::uint32_t values_bytes = 0;  ///< of columns: FrameContent::values_bytes
    std::string rows;
    std::vector<EventRow> events;
    std::vector<PackedBlock> packed;  ///< of events without a row
    std::vector<DeadEvent> dead;
    std::vector<Tombstone> tombstones;

    /// Makes it one dead letter, and believes nothing that it says of its origin, not even that the
    /// origin exists.
    void refuse(std::string reason) {
        kind = Kind::plain_lines;
        state = State::writing;
        seq_count = 1;
        refusal = std::move(reason);
    }
    bool is_plain() const { return kind == Kind::plain_lines || kind == Kind::plain_event; }
    bool is_heartbeat() const { return kind == Kind::heartbeat; }
    bool is_returned() const { return state == State::returned; }
    /// Whether nothing of it is written.
    bool is_skipped() const { return state != State::writing; }
    /// What is to go back to its stream stays so.
    void reset() {
        if (!is_returned()) state = State::writing;
        is_refused = false;
        rows.clear();
        events.clear();
        packed.clear();
        dead.clear();
        tombstones.clear();
    }
    std::uint64_t seq_last() const { return seq_first + seq_count - 1; }
};

/// What one transaction writes.
using Batch = std::vector<MessageWork>;

}  // namespace homeward::consumer
