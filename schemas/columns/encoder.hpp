#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/columns/text_column.hpp"
#include "schemas/text/record_json.hpp"
#include "schemas/text/record_reader.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::columns {

/// Gathers events of lane records as columns until they are a frame's body (layout.hpp). Events of
/// emit_json(), which no definition describes, become lines. Keeps its memory; one thread.
class Encoder {
  public:
    /// As append_record_json(), with the same result for `replaced`. On error nothing was added.
    RecordError add(std::span<const std::byte> record, const FindDescriptor& find,
                    std::size_t* replaced);

    std::uint32_t events() const { return static_cast<std::uint32_t>(order_.size()); }
    /// Of all values, as a reader counts them (layout.hpp).
    std::size_t values_bytes() const { return values_bytes_; }
    /// About what the events would take as lines of JSON.
    std::size_t json_bytes() const { return json_bytes_; }
    /// Whether one more event might not fit, whatever it is.
    bool is_full() const;

    /// Replaces the content's body, kind and types by what was gathered; keeps that until clear().
    void write(FrameContent& content);
    void clear();

  private:
    struct Column {
        RecordKind kind;
        std::size_t json_key_bytes;
        TextColumn texts;
        std::string values;  // of kinds that are no text, as the frame has them
        std::int64_t last = 0;
        std::uint32_t count = 0;
        std::string presence;  // empty while all events have a value

        void add_integer(std::int64_t value);
        void mark(std::uint32_t event, bool is_present) {
            if (!is_present || !presence.empty()) mark_slowly(event, is_present);
        }
        void mark_slowly(std::uint32_t event, bool is_present);
        void write(std::string& out, std::uint32_t events);
        void clear();
    };
    struct Block {
        const OwnedDescriptor* type = nullptr;  // nullptr: lines
        std::uint32_t events = 0;
        std::string lines;
        std::int64_t last_time = 0;
        std::string times;
        std::vector<Column> columns;
        int place = -1;  // among those of this frame
    };

    using Fields = std::array<std::string_view, kFieldsMax>;  // data() nullptr: no value

    static bool read_fields(RecordReader& reader, const OwnedDescriptor& type, Fields& fields);
    RecordError add_typed(std::span<const std::byte> record, const OwnedDescriptor& type,
                          std::size_t* replaced);
    RecordError add_line(std::span<const std::byte> record, const FindDescriptor& find,
                         std::size_t* replaced);
    std::size_t add_text(Column& column, std::string_view text);
    std::size_t add_value(Column& column, std::string_view value);
    Block& block_of(const OwnedDescriptor* type);
    void count_event(Block& block);

    std::vector<std::unique_ptr<Block>> blocks_;  // all that were ever used: their memory stays
    std::vector<Block*> used_;                    // of this frame, by first use
    std::string order_;                           // of each event: the place of its block
    std::string scrubbed_;
    std::size_t values_bytes_ = 0;
    std::size_t definitions_bytes_ = 0;
    std::size_t json_bytes_ = 0;
};

}  // namespace homeward::columns
