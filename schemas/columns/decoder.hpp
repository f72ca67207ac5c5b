#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/columns/layout.hpp"
#include "schemas/columns/pattern_decoder.hpp"
#include "schemas/text/record_json.hpp"

namespace homeward::columns {

/// The values of one field, one for each event of its block.
struct Column {
    RecordKind kind = RecordKind::text;
    bool is_absent = false;              ///< no event has a value, and the vectors are not filled
    std::vector<std::uint8_t> presence;  ///< one byte an event; empty: all have a value
    /// Of kinds that are no text: an int64, a double or a boolean, as bits.
    std::vector<std::uint64_t> words;
    std::vector<std::string_view> texts;  ///< of text and json
    /// How the texts were encoded. By a dictionary or by patterns, `places` has the entry or the
    /// pattern of each event's text, so that what is known of one need not be asked of the next.
    Encoding encoding = Encoding::absent;
    std::vector<std::uint8_t> places;

    bool has(std::size_t event) const {
        return !is_absent && (presence.empty() || presence[event] != 0);
    }
};

struct Block {
    /// nullptr: lines. From the decoder's cache: valid until its next decode().
    const OwnedDescriptor* type = nullptr;
    std::uint32_t events = 0;
    std::vector<std::string_view> lines;  ///< one an event, without '\n'
    std::vector<std::uint64_t> times;     ///< of columns: microseconds since 1970, as int64
    std::vector<Column> columns;          ///< in the order of the type's fields
};

/// A body of columns (layout.hpp), checked. Keeps its memory from frame to frame; one thread.
class Decoder {
  public:
    /// Of the frame that has the body.
    struct Frame {
        std::string_view types;
        std::uint32_t events;
        std::uint32_t values_bytes;
    };
    /// What is returned points into `body`, and into memory of this decoder until its next call.
    /// False: no encoder writes that; blocks() is unspecified.
    bool decode(std::string_view body, const Frame& frame);

    std::span<const Block> blocks() const { return {blocks_.data(), used_}; }
    /// For each event, in order, the index of its block.
    std::string_view order() const { return order_; }

  private:
    bool decode_order(std::string_view& body, std::uint32_t events);
    bool decode_block(std::string_view& body, Block& block);
    bool decode_columns(std::string_view content, Block& block);
    bool decode_column(std::string_view& in, Column& column, std::uint32_t events);
    bool decode_presence(std::string_view& in, Column& column, std::uint32_t events);
    bool decode_values(std::string_view& in, std::uint8_t encoding, Column& column,
                       std::uint32_t events);
    bool decode_textual(std::string_view& in, std::uint8_t encoding, Column& column,
                        std::size_t count);
    bool decode_texts(std::string_view& in, Column& column, std::size_t count);
    bool decode_dictionary(std::string_view& in, Column& column, std::size_t count);
    bool decode_prefixes(std::string_view& in, Column& column, std::size_t count);
    bool decode_patterns(std::string_view& in, Column& column, std::size_t count);
    bool take_lengths(std::string_view& in, std::size_t count, std::vector<std::uint64_t>& lengths);
    void reserve_made();
    bool has_room(std::size_t bytes) const {
        return bytes <= made_capacity_ - static_cast<std::size_t>(made_end_ - made_.get());
    }
    bool add_made(Column& column, const char* end);
    static void spread(Column& column, std::uint32_t events);
    bool decode_lines(std::string_view content, Block& block);
    bool count_values(std::size_t bytes);
    const OwnedDescriptor* type_of(std::string_view definition);

    /// Few types are ever used; whoever sends more has them read anew.
    static constexpr std::size_t kTypesKept = 256;
    std::map<std::string, std::unique_ptr<const OwnedDescriptor>, std::less<>> types_;
    std::vector<std::string_view> definitions_;
    /// Beyond these the memory of a frame is given back, so that a sender cannot make us keep much
    /// by frames that are large in turn at each place.
    static constexpr std::size_t kBlocksKept = 8;
    static constexpr std::size_t kCellsKept = 128u << 10;  // values, of all columns
    std::vector<Block> blocks_;                            // the first `used_` are this frame's
    std::size_t cells_ = 0;                                // of this frame
    std::size_t used_ = 0;
    std::string single_order_;  // of frames with one block
    std::string_view order_;
    std::vector<std::uint64_t> lengths_;
    std::vector<std::uint64_t> shared_;
    std::vector<std::string_view> entries_;
    PatternDecoder patterns_;
    /// Texts that are not in the body as they are, one after another. They never move.
    std::unique_ptr<char[]> made_;
    std::size_t made_capacity_ = 0;
    char* made_end_ = nullptr;
    std::size_t values_bytes_ = 0;
    std::size_t values_bytes_max_ = 0;
};

}  // namespace homeward::columns
