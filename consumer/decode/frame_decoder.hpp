#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "consumer/decode/column_rows.hpp"
#include "consumer/decode/event_decoder.hpp"
#include "consumer/decode/message_work.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {

/// From a message to what a batch writes of it. One thread at a time.
class MessageDecoder {
  public:
    MessageDecoder(std::shared_ptr<const Catalog> catalog, EventDecoder::Limits limits);

    /// What the header alone tells. A message that is no frame, or whose sender is not the
    /// publisher that it names, becomes a plain message with a refusal; one that only a newer
    /// reader understands is returned to its stream. seq_count is known after this, so that the
    /// ledger can be asked before anything is decompressed.
    MessageWork open(PulledMessage pulled);
    /// What the header of a frame says, into its work. False: it is no frame, or a damaged
    /// one.
    static bool open_frame(MessageWork& work);
    enum class Into : std::uint8_t {
        rows,
        packs,  ///< where all events of a block can be in one; the others become rows
    };
    /// Rows or packs, dead events and tombstones of a message that was reset. Its origin and
    /// seq_first must be set.
    void decode(MessageWork& work, std::int64_t now_us, Into into = Into::rows);

    std::uint64_t replaced_nuls() const { return events_.replaced_nuls(); }

  private:
    class SeqCursor;
    /// Of a line, in the message's body.
    struct Range {
        std::size_t begin, end;
        std::size_t size() const { return end - begin; }
    };
    void open_plain(MessageWork& work);
    bool unpack(MessageWork& work);
    void decode_line(MessageWork& work, SeqCursor& cursor, Range line, std::int64_t now_us);
    void decode_lines(MessageWork& work, std::int64_t now_us);
    void decode_columns(MessageWork& work, std::int64_t now_us, Into into);
    void pack_blocks(MessageWork& work, std::int64_t now_us);
    static std::uint32_t next_packed(const MessageWork& work, std::int32_t& at);
    /// What became of the next event, whose row begins at `row_begin`.
    static void take_outcome(MessageWork& work, SeqCursor& cursor, const EventOutcome& outcome,
                             EventRow place, std::string_view line);
    static void refuse_whole(MessageWork& work, std::string reason, std::string payload);

    std::shared_ptr<const Catalog> catalog_;
    FrameDecoder frames_;
    FrameContent content_;  // its body is the work's, but while a frame is decoded
    EventDecoder events_;
    ColumnRows columns_{events_};
    std::array<std::int32_t, columns::kBlocksMax> packed_{};  // last in work.packed; -1: none
    std::string line_;  // of an event of columns that becomes no row
};

}  // namespace homeward::consumer
