#pragma once

#include <cstddef>
#include <cstdint>

#include "schemas/types/event_type.hpp"

namespace homeward::consumer {

/// How the values of a field lie in a pack.
enum class PackForm : std::uint8_t {
    joined,  ///< text and jsonb: one text, the values separated by kPackSeparator
    array,   ///< of the field's type
    list,    ///< of arrays: an array of homeward.…_list
};
inline PackForm pack_form(const Field& field) {
    if (field.array) return PackForm::list;
    const bool is_text = field.column == ColumnType::text || field.column == ColumnType::jsonb;
    return is_text ? PackForm::joined : PackForm::array;
}

/// Between joined values, and in the place of one that is NULL. An event with a text that contains
/// the first, or that is the second, becomes a row.
inline constexpr char kPackSeparator = '\x1e';
inline constexpr char kPackNull = '\x1d';

/// Events of a pack, at most.
inline constexpr int kPackEventsMax = 2'000;
/// Fewer are cheaper as rows.
inline constexpr int kPackEventsMin = 8;
/// A pack with so many bytes of values takes no more events; a value of PostgreSQL has 1 GB at
/// most.
inline constexpr std::size_t kPackBytesMax = 4u << 20;
/// A larger event becomes a row.
inline constexpr std::size_t kPackEventBytesMax = 256u << 10;

}  // namespace homeward::consumer
