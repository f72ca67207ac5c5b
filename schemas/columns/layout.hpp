#pragma once

// Body kind 2 of frame version 2: events as columns. What zstd compresses is
//
//   offset size
//        0    2  blocks              1 to 255
//        2    2  zero
//        4       with several blocks: for each event, in order, one byte: the block that has it
//                blocks, one after another
//
// A block has events of one kind, in order:
//
//        0    1  kind                1 lines, 2 columns
//        1    1  definition          columns: which entry of the section "types"; lines: 0
//        2    2  zero
//        4    4  events              from 1
//        8    4  bytes               of its content
//       12       content
//
// Lines: events as in body kind 1, each ended by '\n'. Columns: the column of the events' times,
// then one for each field of the definition. A column:
//
//        0    1  encoding            below; bit 7: some events have no value
//        1       with bit 7: a bitmap of the events that have one, least significant bit first
//                values of the events that have one
//
//   0 absent      no event has a value; without bit 7
//   1 deltas      integer, timestamp, the times: zigzag of the difference to the value before, as
//                 LEB128; the first to zero. Differences wrap at 64 bits
//   2 doubles     real: 8 bytes each
//   3 bits        boolean: a bitmap, least significant bit first
//   4 texts       text, json: all lengths as LEB128, then all bytes
//   5 dictionary  text, json: number of entries (LEB128, 1 to 256), then these as texts; then one
//                 byte for each value: its entry
//   6 prefixes    text, json: how many bytes each value shares with the one before, the lengths of
//                 the rests, all as LEB128, then all rests
//   7 patterns    text, json: number of patterns (LEB128, 1 to 256; pattern.hpp), then these as
//                 texts; with several, one byte for each value: its pattern; then for each
//                 placeholder of each pattern: bytes of a number (1 byte, 0 to 8), the least number
//                 (LEB128), and for each value of that pattern how much more its number is
//
// The section "types" has one definition after another:
//
//        0    1  bytes of the name   1 to 48
//        1       name
//             1  fields              0 to 64
//                fields: kind (1 byte: 0 integer, 1 real, 2 boolean, 3 timestamp, 4 text, 5 json),
//                bytes of the name (1 byte, 1 to 63), name
//
// A frame has all definitions that it uses, and is decoded without any other frame. A dictionary
// makes large what was small, so that the events' values are bounded as if there were none: texts
// by their bytes and one more, lines by their bytes, anything else by 8 bytes; 4 MiB in all.

#include <cstddef>
#include <cstdint>

namespace homeward::columns {

inline constexpr std::size_t kBodyPrefixBytes = 4;
inline constexpr std::size_t kBlockPrefixBytes = 12;
inline constexpr std::size_t kBlocksMax = 255;
inline constexpr std::size_t kFieldsMax = 64;
inline constexpr std::size_t kTypeNameMax = 48;
inline constexpr std::size_t kFieldNameMax = 63;
inline constexpr std::size_t kDictionaryMax = 256;
/// Of all values of a frame, each text by its bytes and anything else by kValueBytes.
inline constexpr std::size_t kValuesBytesMax = 4u << 20;
inline constexpr std::size_t kValueBytes = 8;

enum class BlockKind : std::uint8_t { lines = 1, columns = 2 };
enum class Encoding : std::uint8_t {
    absent = 0,
    deltas = 1,
    doubles = 2,
    bits = 3,
    texts = 4,
    dictionary = 5,
    prefixes = 6,
    patterns = 7,
};
inline constexpr std::uint8_t kHasPresence = 0x80;

}  // namespace homeward::columns
