#include "schemas/columns/decoder.hpp"

#include <algorithm>
#include <cstring>

#include "schemas/columns/definition.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

template <typename T>
T take(std::string_view& in) {
    T value;
    std::memcpy(&value, in.data(), sizeof value);
    in.remove_prefix(sizeof value);
    return value;
}

/// Empty if there are not so many bytes, or none are wanted.
std::string_view take_bytes(std::string_view& in, std::size_t bytes) {
    if (bytes > in.size()) return {};
    const std::string_view taken = in.substr(0, bytes);
    in.remove_prefix(bytes);
    return taken;
}

bool bit_of(std::string_view bits, std::size_t index) {
    return (static_cast<unsigned char>(bits[index / 8]) >> index % 8 & 1u) != 0;
}

/// Bits behind the last event's are zero.
bool is_bitmap(std::string_view bits, std::size_t count) {
    return count % 8 == 0 || static_cast<unsigned char>(bits.back()) >> count % 8 == 0;
}

bool is_textual(RecordKind kind) {
    return kind == RecordKind::text || kind == RecordKind::json;
}

bool take_deltas(std::string_view& in, const Column* column, std::uint32_t events,
                 std::vector<std::uint64_t>& words) {
    words.resize(events);
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < events; ++i) {
        if (column != nullptr && !column->has(i)) continue;
        std::uint64_t delta = 0;
        if (!take_varint(in, delta)) return false;
        last += static_cast<std::uint64_t>(from_zigzag(delta));
        words[i] = last;
    }
    return true;
}

}  // namespace

bool Decoder::count_values(std::size_t bytes) {
    values_bytes_ += bytes;
    return values_bytes_ <= kValuesBytesMax;
}

const OwnedDescriptor* Decoder::type_of(std::string_view definition) {
    const auto known = types_.find(definition);
    if (known != types_.end()) return known->second.get();
    return types_
        .emplace(std::string(definition),
                 std::make_unique<const OwnedDescriptor>(read_definition(definition)))
        .first->second.get();
}

bool Decoder::decode(std::string_view body, std::string_view definitions, std::uint32_t events) {
    values_bytes_ = 0;
    used_ = 0;
    if (types_.size() >= kTypesKept) types_.clear();
    if (!split_definitions(definitions, definitions_) || !decode_order(body, events)) return false;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        if (!decode_block(body, blocks_[i])) return false;
        const auto places = std::count(order_.begin(), order_.end(), static_cast<char>(i));
        if (static_cast<std::uint64_t>(places) != blocks_[i].events) return false;
        sum += blocks_[i].events;
    }
    return body.empty() && sum == events;
}

bool Decoder::decode_order(std::string_view& body, std::uint32_t events) {
    if (body.size() < kBodyPrefixBytes) return false;
    const auto blocks = take<std::uint16_t>(body);
    if (take<std::uint16_t>(body) != 0 || blocks == 0 || blocks > kBlocksMax) return false;
    used_ = blocks;
    if (blocks_.size() < used_) blocks_.resize(used_);
    if (used_ > 1) {
        order_ = take_bytes(body, events);
        return order_.size() == events;
    }
    if (single_order_.size() < events) single_order_.assign(events, '\0');
    order_ = std::string_view(single_order_).substr(0, events);
    return true;
}

bool Decoder::decode_block(std::string_view& body, Block& block) {
    if (body.size() < kBlockPrefixBytes) return false;
    const auto kind = static_cast<BlockKind>(take<std::uint8_t>(body));
    const auto definition = take<std::uint8_t>(body);
    const auto zero = take<std::uint16_t>(body);
    block.events = take<std::uint32_t>(body);
    const std::size_t bytes = take<std::uint32_t>(body);
    if (zero != 0 || block.events == 0 || block.events > order_.size() || bytes > body.size()) {
        return false;
    }
    const std::string_view content = take_bytes(body, bytes);
    block.type = nullptr;
    if (kind == BlockKind::lines) return definition == 0 && decode_lines(content, block);
    if (kind != BlockKind::columns || definition >= definitions_.size()) return false;
    block.type = type_of(definitions_[definition]);
    return decode_columns(content, block);
}

bool Decoder::decode_lines(std::string_view content, Block& block) {
    block.lines.clear();
    while (!content.empty()) {
        const std::size_t end = content.find('\n');
        if (end == std::string_view::npos || block.lines.size() == block.events) return false;
        block.lines.push_back(content.substr(0, end));
        content.remove_prefix(end + 1);
        if (!count_values(end + 1)) return false;
    }
    return block.lines.size() == block.events;
}

bool Decoder::decode_columns(std::string_view content, Block& block) {
    const bool has_times = !content.empty() && take<std::uint8_t>(content) ==
                                                   static_cast<std::uint8_t>(Encoding::deltas);
    if (!has_times || !count_values(block.events * kValueBytes)) return false;
    if (!take_deltas(content, nullptr, block.events, block.times)) return false;
    const auto& fields = block.type->fields;
    block.columns.resize(fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
        block.columns[i].kind = fields[i].kind;
        if (!decode_column(content, block.columns[i], block.events)) return false;
    }
    return content.empty();
}

bool Decoder::decode_column(std::string_view& in, Column& column, std::uint32_t events) {
    if (in.empty()) return false;
    const auto encoding = take<std::uint8_t>(in);
    column.presence.clear();
    column.is_absent = encoding == static_cast<std::uint8_t>(Encoding::absent);
    if (column.is_absent) return true;
    if ((encoding & kHasPresence) != 0 && !decode_presence(in, column, events)) return false;
    return decode_values(in, encoding & static_cast<std::uint8_t>(~kHasPresence), column, events);
}

bool Decoder::decode_presence(std::string_view& in, Column& column, std::uint32_t events) {
    const std::string_view bits = take_bytes(in, (events + 7) / 8);
    if (bits.empty() || !is_bitmap(bits, events)) return false;
    column.presence.resize(events);
    for (std::uint32_t i = 0; i < events; ++i) column.presence[i] = bit_of(bits, i) ? 1 : 0;
    return true;
}

bool Decoder::decode_values(std::string_view& in, std::uint8_t encoding, Column& column,
                            std::uint32_t events) {
    const std::size_t count =
        column.presence.empty()
            ? events
            : static_cast<std::size_t>(
                  std::count(column.presence.begin(), column.presence.end(), std::uint8_t{1}));
    if (is_textual(column.kind)) {
        if (encoding == static_cast<std::uint8_t>(Encoding::texts)) {
            return decode_texts(in, column, events);
        }
        return encoding == static_cast<std::uint8_t>(Encoding::dictionary) &&
               decode_dictionary(in, column, events);
    }
    if (!count_values(count * kValueBytes)) return false;
    const bool is_integer =
        column.kind == RecordKind::integer || column.kind == RecordKind::timestamp;
    if (is_integer) {
        return encoding == static_cast<std::uint8_t>(Encoding::deltas) &&
               take_deltas(in, &column, events, column.words);
    }
    const bool is_real = column.kind == RecordKind::real;
    const auto expected = is_real ? Encoding::doubles : Encoding::bits;
    std::string_view values = take_bytes(in, is_real ? count * 8 : (count + 7) / 8);
    if (encoding != static_cast<std::uint8_t>(expected) || values.empty()) return false;
    if (!is_real && !is_bitmap(values, count)) return false;
    column.words.resize(events);
    std::size_t index = 0;
    for (std::uint32_t i = 0; i < events; ++i) {
        if (!column.has(i)) continue;
        column.words[i] = is_real ? take<std::uint64_t>(values) : bit_of(values, index) ? 1 : 0;
        ++index;
    }
    return true;
}

/// Of values that stand one after another; what is no value stays as it was.
bool Decoder::decode_texts(std::string_view& in, Column& column, std::uint32_t events) {
    column.texts.resize(events);
    lengths_.clear();
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < events; ++i) {
        if (!column.has(i)) continue;
        std::uint64_t length = 0;
        if (!take_varint(in, length) || length > in.size()) return false;
        lengths_.push_back(length);
        sum += length;
    }
    if (sum > in.size() || !count_values(sum + lengths_.size())) return false;
    std::size_t index = 0;
    for (std::uint32_t i = 0; i < events; ++i) {
        if (column.has(i)) column.texts[i] = in.substr(0, lengths_[index]);
        if (column.has(i)) in.remove_prefix(lengths_[index++]);
    }
    return true;
}

bool Decoder::decode_dictionary(std::string_view& in, Column& column, std::uint32_t events) {
    std::uint64_t count = 0;
    if (!take_varint(in, count) || count == 0 || count > kDictionaryMax) return false;
    entries_.resize(count);
    lengths_.resize(count);
    for (std::uint64_t& length : lengths_) {
        if (!take_varint(in, length) || length > in.size()) return false;
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (lengths_[i] > in.size()) return false;
        entries_[i] = in.substr(0, lengths_[i]);
        in.remove_prefix(lengths_[i]);
    }
    column.texts.resize(events);
    std::size_t bytes = 0;
    for (std::uint32_t i = 0; i < events; ++i) {
        if (!column.has(i)) continue;
        if (in.empty()) return false;
        const auto index = static_cast<unsigned char>(in.front());
        in.remove_prefix(1);
        if (index >= count) return false;
        column.texts[i] = entries_[index];
        bytes += entries_[index].size() + 1;
    }
    return count_values(bytes);
}

}  // namespace homeward::columns
