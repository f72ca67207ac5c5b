#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/decode/event_decoder.hpp"
#include "consumer/decode/message_work.hpp"
#include "schemas/columns/decoder.hpp"

namespace homeward::consumer {

class ValueWriter;

/// Where an event of columns is, and its seq.
struct ColumnPlace {
    std::uint32_t block;
    std::uint32_t event;  ///< within the block
    std::uint64_t seq;
};

/// Rows from a body of columns, without JSON in between. What does not fit its table's columns one
/// by one (an unknown type or field, a field of another kind, a value that the leader would not
/// take) goes through EventDecoder as a line, so that each event becomes what its line would.
/// One thread; borrows the EventDecoder.
class ColumnRows {
  public:
    explicit ColumnRows(EventDecoder& events) : events_(events) {}

    /// False: the body is damaged. `message` has the body, its types and its header.
    bool open(const MessageWork& work);
    /// For each event, in order, the index of its block.
    std::string_view order() const { return decoder_.order(); }
    std::size_t blocks() const { return decoder_.blocks().size(); }
    /// As EventDecoder::decode(), of one event of the message that was opened. If it becomes no
    /// row, `line` is set to its JSON.
    EventOutcome decode(const MessageWork& work, const ColumnPlace& place, std::int64_t now_us,
                        std::string& rows, std::string& line);
    /// Appends a block as packs have it, but for seqs: without a row in between. False, and nothing
    /// appended: some event may be none, or none of a pack, or of an earlier day than yesterday;
    /// decode() tells.
    bool pack(std::uint32_t block, std::int64_t now_us, std::vector<PackedBlock>& packed);
    /// The type of a block that was packed, and the time of its event.
    int type_of_block(std::uint32_t block) const { return plans_[block].type; }
    std::int64_t time_of(std::uint32_t block, std::uint32_t event) const {
        return static_cast<std::int64_t>(decoder_.blocks()[block].times[event]);
    }

  private:
    /// How a column's values are written.
    enum class Form : std::uint8_t {
        absent,
        text,
        decimal,
        uuid,
        inet,
        integer,
        real,
        boolean,
        timestamp,
        json,
    };
    struct Source {
        Form form = Form::absent;
        std::uint32_t column = 0;
    };
    /// What is known of texts that have one entry of a dictionary, or one pattern.
    enum class Known : std::uint8_t { nothing, good, each_differs };
    using KnownTexts = std::array<Known, columns::kDictionaryMax>;
    /// How a block's events become rows of one type.
    struct Plan {
        int type = -1;
        bool is_direct = false;
        std::vector<Source> sources;    // of each field of the type
        std::vector<KnownTexts> known;  // of each column of the block
    };

    static bool find_form(const Field& field, RecordKind kind, Form& form);
    const EventType& type_of(const Plan& plan) const;
    void make_plan(const columns::Block& block, Plan& plan) const;
    bool pack_times(const columns::Block& block, const EventType& type, std::int64_t now_us,
                    PackedBlock& packed) const;
    bool pack_parts(const columns::Block& block, Plan& plan, std::int64_t now_us,
                    std::span<PackedBlock> parts);
    bool are_plain_texts(const Field& field, const columns::Column& column, Plan& plan,
                         std::size_t index);
    bool are_known_texts(const Field& field, const columns::Column& column, Plan& plan,
                         std::size_t index);
    bool pack_field(const columns::Block& block, Plan& plan, std::size_t index,
                    std::span<PackedBlock> parts);
    bool pack_values(const columns::Block& block, Plan& plan, std::size_t index, PackedBlock& part);
    bool append_row(const columns::Block& block, Plan& plan, std::uint32_t event,
                    ValueWriter& writer);
    bool append_field(const columns::Block& block, Plan& plan, std::size_t index,
                      std::uint32_t event, ValueWriter& writer);
    bool write(const Field& field, const columns::Column& column, Form form, std::uint32_t event,
               ValueWriter& writer);
    bool write_json(const Field& field, const columns::Column& column, KnownTexts& known,
                    std::uint32_t event, ValueWriter& writer);

    EventDecoder& events_;
    columns::Decoder decoder_;
    std::vector<Plan> plans_;  // the first are this body's blocks'
    std::string scratch_;
    std::uint64_t replaced_nuls_ = 0;
};

/// What an event was before it became a row, for its dead letter. Reads columns anew, once for each
/// message; one thread.
class Payloads {
  public:
    std::string of(const MessageWork& work, const EventRow& event);

  private:
    const MessageWork* work_ = nullptr;
    columns::Decoder decoder_;
};

}  // namespace homeward::consumer
