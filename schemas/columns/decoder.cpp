#include "schemas/columns/decoder.hpp"

#include <algorithm>
#include <cstring>

#include "schemas/columns/copy_text.hpp"
#include "schemas/columns/definition.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::columns {
namespace {

/// Behind all texts: what a pattern takes more than the text that it makes, and what a JSON parser
/// may read ahead.
constexpr std::size_t kSlack = 4096;

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
    return values_bytes_ <= values_bytes_max_;
}

const OwnedDescriptor* Decoder::type_of(std::string_view definition) {
    const auto known = types_.find(definition);
    if (known != types_.end()) return known->second.get();
    return types_
        .emplace(std::string(definition),
                 std::make_unique<const OwnedDescriptor>(read_definition(definition)))
        .first->second.get();
}

bool Decoder::decode(std::string_view body, const Frame& frame) {
    values_bytes_ = 0;
    values_bytes_max_ = std::min<std::size_t>(frame.values_bytes, kValuesBytesMax);
    used_ = 0;
    if (cells_ > kCellsKept) blocks_ = {};
    if (blocks_.size() > kBlocksKept) blocks_.resize(kBlocksKept);
    cells_ = 0;
    patterns_.trim();
    reserve_made();
    if (types_.size() >= kTypesKept) types_.clear();
    if (!split_definitions(frame.types, definitions_) || !decode_order(body, frame.events)) {
        return false;
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        if (!decode_block(body, blocks_[i])) return false;
        const auto places = std::count(order_.begin(), order_.end(), static_cast<char>(i));
        if (static_cast<std::uint64_t>(places) != blocks_[i].events) return false;
        sum += blocks_[i].events;
    }
    return body.empty() && sum == frame.events;
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
    cells_ += block.events * (fields.size() + 1);
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
        if (!decode_textual(in, encoding, column, count)) return false;
        spread(column, events);
        return true;
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

/// From one a value to one an event.
void Decoder::spread(Column& column, std::uint32_t events) {
    std::size_t value = column.texts.size();
    const bool has_places = !column.places.empty();
    column.texts.resize(events);
    if (has_places) column.places.resize(events);
    for (std::size_t event = events; event-- > 0 && value <= event;) {
        if (!column.has(event)) continue;
        column.texts[event] = column.texts[--value];
        if (has_places) column.places[event] = column.places[value];
    }
}

bool Decoder::take_lengths(std::string_view& in, std::size_t count,
                           std::vector<std::uint64_t>& lengths) {
    lengths.resize(count);
    for (std::uint64_t& length : lengths) {
        if (!take_varint(in, length) || length > kValuesBytesMax) return false;
    }
    return true;
}

/// `count`: values of the column.
bool Decoder::decode_textual(std::string_view& in, std::uint8_t encoding, Column& column,
                             std::size_t count) {
    column.texts.clear();
    column.texts.reserve(count);
    column.places.clear();
    column.encoding = static_cast<Encoding>(encoding);
    switch (static_cast<Encoding>(encoding)) {
        case Encoding::texts:
            return decode_texts(in, column, count);
        case Encoding::dictionary:
            return decode_dictionary(in, column, count);
        case Encoding::prefixes:
            return decode_prefixes(in, column, count);
        case Encoding::patterns:
            return decode_patterns(in, column, count);
        default:
            return false;
    }
}

bool Decoder::decode_texts(std::string_view& in, Column& column, std::size_t count) {
    if (!take_lengths(in, count, lengths_)) return false;
    for (const std::uint64_t length : lengths_) {
        if (length > in.size() || !count_values(length + 1)) return false;
        column.texts.push_back(in.substr(0, length));
        in.remove_prefix(length);
    }
    return true;
}

bool Decoder::decode_dictionary(std::string_view& in, Column& column, std::size_t count) {
    std::uint64_t entries = 0;
    if (!take_varint(in, entries) || entries == 0 || entries > kDictionaryMax) return false;
    if (!take_lengths(in, entries, lengths_)) return false;
    entries_.clear();
    for (const std::uint64_t length : lengths_) {
        if (length > in.size()) return false;
        entries_.push_back(in.substr(0, length));
        in.remove_prefix(length);
    }
    if (in.size() < count) return false;
    for (const char place : in.substr(0, count)) {
        const auto index = static_cast<unsigned char>(place);
        if (index >= entries || !count_values(entries_[index].size() + 1)) return false;
        column.texts.push_back(entries_[index]);
        column.places.push_back(index);
    }
    in.remove_prefix(count);
    return true;
}

/// Room for all texts that the frame may have.
void Decoder::reserve_made() {
    const std::size_t wanted = values_bytes_max_ + kSlack;
    if (made_capacity_ < wanted) {
        made_ = std::make_unique<char[]>(wanted);
        made_capacity_ = wanted;
    }
    made_end_ = made_.get();
}

/// The text between made_end_ and `end`, which were written.
bool Decoder::add_made(Column& column, const char* end) {
    const auto bytes = static_cast<std::size_t>(end - made_end_);
    if (!count_values(bytes + 1)) return false;
    column.texts.emplace_back(made_end_, bytes);
    made_end_ += bytes;
    return true;
}

bool Decoder::decode_prefixes(std::string_view& in, Column& column, std::size_t count) {
    if (!take_lengths(in, count, shared_) || !take_lengths(in, count, lengths_)) return false;
    std::string_view before = "";
    for (std::size_t i = 0; i < count; ++i) {
        if (shared_[i] > before.size() || lengths_[i] > in.size()) return false;
        if (!has_room(shared_[i] + lengths_[i])) return false;
        char* const end = copy_text(copy_text(made_end_, before.substr(0, shared_[i])),
                                    in.substr(0, lengths_[i]));
        in.remove_prefix(lengths_[i]);
        if (!add_made(column, end)) return false;
        before = column.texts.back();
    }
    return true;
}

bool Decoder::decode_patterns(std::string_view& in, Column& column, std::size_t count) {
    if (!patterns_.open(in, count, values_bytes_max_ - values_bytes_)) return false;
    for (std::size_t i = 0; i < count; ++i) {
        column.places.push_back(static_cast<std::uint8_t>(patterns_.place()));
        if (!has_room(patterns_.bytes_max()) && !has_room(patterns_.bytes())) return false;
        if (!add_made(column, patterns_.write_next(made_end_))) return false;
    }
    return true;
}

}  // namespace homeward::columns
