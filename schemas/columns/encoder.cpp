#include "schemas/columns/encoder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "schemas/columns/definition.hpp"
#include "schemas/columns/layout.hpp"
#include "schemas/columns/varint.hpp"
#include "schemas/text/json_text.hpp"

namespace homeward::columns {
namespace {

/// Far below what a reader takes: with one more event, and however badly it compresses, the frame
/// has less than kFrameBytesMax.
constexpr std::size_t kFullValuesBytes = kValuesBytesMax / 8;
constexpr std::size_t kFullDefinitionBytes = 16u << 10;

template <typename T>
T value_of(std::string_view bytes) {
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

std::size_t digits_of(std::int64_t value) {
    const auto magnitude =
        value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
    // log10(2) is about 1233 / 4096
    return 1 + (static_cast<std::size_t>(std::bit_width(magnitude)) * 1233 >> 12);
}

/// Most texts are, and it takes less than is_utf8().
bool is_ascii(std::string_view text) {
    std::uint64_t word = 0;
    std::uint64_t all = 0;
    if (text.size() < sizeof word) {
        for (const char c : text) all |= static_cast<unsigned char>(c);
        return all < 0x80;
    }
    for (std::size_t at = 0; at + sizeof word < text.size(); at += sizeof word) {
        std::memcpy(&word, text.data() + at, sizeof word);
        all |= word;
    }
    std::memcpy(&word, text.data() + text.size() - sizeof word, sizeof word);
    return ((all | word) & 0x8080808080808080u) == 0;
}

void set_bit(std::string& bits, std::uint32_t index) {
    if (index / 8 >= bits.size()) bits.resize(index / 8 + 1);
    bits[index / 8] =
        static_cast<char>(static_cast<unsigned char>(bits[index / 8]) | 1u << index % 8);
}

void append_u16(std::string& out, std::size_t value) {
    out += static_cast<char>(value & 0xff);
    out += static_cast<char>(value >> 8 & 0xff);
}
void append_u32(std::string& out, std::size_t value) {
    append_u16(out, value & 0xffff);
    append_u16(out, value >> 16);
}

Encoding encoding_of(RecordKind kind) {
    switch (kind) {
        case RecordKind::integer:
        case RecordKind::timestamp:
            return Encoding::deltas;
        case RecordKind::real:
            return Encoding::doubles;
        case RecordKind::boolean:
            return Encoding::bits;
        case RecordKind::text:
        case RecordKind::json:
            break;
    }
    return Encoding::texts;
}

bool is_textual(RecordKind kind) {
    return encoding_of(kind) == Encoding::texts;
}

}  // namespace

void Encoder::Column::add_integer(std::int64_t value) {
    const auto delta = static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(last);
    append_varint(values, zigzag(static_cast<std::int64_t>(delta)));
    last = value;
}

void Encoder::Column::mark_slowly(std::uint32_t event, bool is_present) {
    if (presence.empty()) {
        presence.assign(event / 8 + 1, '\0');
        for (std::uint32_t i = 0; i < event; ++i) set_bit(presence, i);
    }
    if (event / 8 >= presence.size()) presence += '\0';
    if (is_present) set_bit(presence, event);
}

void Encoder::Column::write(std::string& out, std::uint32_t events) {
    if (count == 0) {
        out += static_cast<char>(Encoding::absent);
        return;
    }
    std::string bitmap = presence;
    if (!bitmap.empty()) bitmap.resize((events + 7) / 8);
    if (is_textual(kind)) return texts.write(out, bitmap);
    const auto bits = static_cast<std::uint8_t>(bitmap.empty() ? 0 : kHasPresence);
    out += static_cast<char>(static_cast<std::uint8_t>(encoding_of(kind)) | bits);
    out.append(bitmap).append(values);
}

void Encoder::Column::clear() {
    texts.clear();
    values.clear();
    presence.clear();
    last = 0;
    count = 0;
}

bool Encoder::is_full() const {
    return used_.size() >= kBlocksMax - 1 || values_bytes_ >= kFullValuesBytes ||
           definitions_bytes_ >= kFullDefinitionBytes;
}

Encoder::Block& Encoder::block_of(const OwnedDescriptor* type) {
    if (!used_.empty() && used_.back()->type == type) return *used_.back();
    auto found = std::find_if(blocks_.begin(), blocks_.end(),
                              [&](const auto& block) { return block->type == type; });
    if (found == blocks_.end()) {
        auto block = std::make_unique<Block>();
        block->type = type;
        if (type != nullptr) {
            for (const auto& field : type->fields) {
                Column column;
                column.kind = field.kind;
                column.json_key_bytes = field.key.size();
                block->columns.push_back(std::move(column));
            }
        }
        found = blocks_.insert(blocks_.end(), std::move(block));
    }
    Block& block = **found;
    if (block.place < 0) {
        block.place = static_cast<int>(used_.size());
        used_.push_back(&block);
        if (type != nullptr) definitions_bytes_ += 2 + type->name.size();
        for (const Column& column : block.columns) definitions_bytes_ += column.json_key_bytes;
    }
    return block;
}

bool Encoder::read_fields(RecordReader& reader, const OwnedDescriptor& type, Fields& fields) {
    const auto presence = reader.take<std::uint64_t>();
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        fields[i] = {};
        if ((presence >> i & 1u) == 0) continue;
        switch (type.fields[i].kind) {
            case RecordKind::integer:
            case RecordKind::real:
            case RecordKind::timestamp:
                fields[i] = reader.take_text(8);
                break;
            case RecordKind::boolean:
                fields[i] = reader.take_text(1);
                break;
            case RecordKind::text:
            case RecordKind::json:
                fields[i] = reader.take_text(reader.take<std::uint32_t>());
                break;
        }
    }
    return reader.ok();
}

/// Returns how many U+FFFD stand for what is not UTF-8.
std::size_t Encoder::add_text(Column& column, std::string_view text) {
    std::size_t replaced = 0;
    const bool is_json = column.kind == RecordKind::json;
    if ((!is_ascii(text) && !is_utf8(text)) ||
        (is_json && text.find('\n') != std::string_view::npos)) {
        scrubbed_.clear();
        if (is_json) {
            replaced = append_json_value(scrubbed_, text);
        } else {
            replaced = append_utf8(scrubbed_, text);
        }
        text = scrubbed_;
    }
    column.texts.add(text);
    values_bytes_ += text.size() + 1;
    json_bytes_ += text.size() + (is_json ? 0 : 2);
    return replaced;
}

std::size_t Encoder::add_value(Column& column, std::string_view value) {
    ++column.count;
    json_bytes_ += column.json_key_bytes;
    if (is_textual(column.kind)) return add_text(column, value);
    constexpr std::size_t kRealDigits = 8;  // of many that are measured
    switch (encoding_of(column.kind)) {
        case Encoding::deltas:
            column.add_integer(value_of<std::int64_t>(value));
            json_bytes_ += digits_of(column.last);
            break;
        case Encoding::doubles:
            column.values += value;
            json_bytes_ += kRealDigits;
            break;
        default:
            column.values.resize((column.count + 7) / 8);
            if (value.front() != '\0') set_bit(column.values, column.count - 1);
            json_bytes_ += value.front() != '\0' ? 4 : 5;
            break;
    }
    values_bytes_ += kValueBytes;
    return 0;
}

void Encoder::count_event(Block& block) {
    order_ += static_cast<char>(block.place);
    ++block.events;
}

RecordError Encoder::add_typed(std::span<const std::byte> record, const OwnedDescriptor& type,
                               std::size_t* replaced) {
    RecordReader reader(record);
    reader.take<std::uint32_t>();
    const auto time_us = reader.take<std::int64_t>();
    Fields fields;
    if (!read_fields(reader, type, fields)) return RecordError::cut_short;
    Block& block = block_of(&type);
    const auto delta =
        static_cast<std::uint64_t>(time_us) - static_cast<std::uint64_t>(block.last_time);
    append_varint(block.times, zigzag(static_cast<std::int64_t>(delta)));
    block.last_time = time_us;
    values_bytes_ += kValueBytes;
    constexpr std::size_t kFrameOfJson = 37;  // {"type":"","time":1700000000000000} and its '\n'
    json_bytes_ += kFrameOfJson + type.name.size();
    std::size_t count = 0;
    for (std::size_t i = 0; i < block.columns.size(); ++i) {
        Column& column = block.columns[i];
        column.mark(block.events, fields[i].data() != nullptr);
        if (fields[i].data() != nullptr) count += add_value(column, fields[i]);
    }
    if (replaced != nullptr) *replaced = count;
    count_event(block);
    return RecordError::none;
}

RecordError Encoder::add_line(std::span<const std::byte> record, const FindDescriptor& find,
                              std::size_t* replaced) {
    Block& block = block_of(nullptr);
    const std::size_t before = block.lines.size();
    const RecordError error = append_record_json(record, find, block.lines, replaced);
    if (error != RecordError::none) {
        if (block.events == 0) {  // a frame has no block without events
            block.place = -1;
            used_.pop_back();
        }
        return error;
    }
    block.lines += '\n';
    const std::size_t added = block.lines.size() - before;
    values_bytes_ += added;
    json_bytes_ += added;
    count_event(block);
    return RecordError::none;
}

RecordError Encoder::add(std::span<const std::byte> record, const FindDescriptor& find,
                         std::size_t* replaced) {
    RecordReader reader(record);
    const auto hash = reader.take<std::uint32_t>();
    if (!reader.ok()) return RecordError::cut_short;
    const OwnedDescriptor* type = hash == 0 ? nullptr : find(hash);
    if (hash != 0 && type == nullptr) return RecordError::unknown_type;
    const bool is_known = type != nullptr && !used_.empty() && used_.back()->type == type;
    return is_known || (type != nullptr && is_describable(*type))
               ? add_typed(record, *type, replaced)
               : add_line(record, find, replaced);
}

void Encoder::write(FrameContent& content) {
    std::string& body = content.body;
    body.clear();
    content.body_kind = BodyKind::columns;
    content.types.clear();
    content.values_bytes = static_cast<std::uint32_t>(values_bytes_);
    append_u16(body, used_.size());
    append_u16(body, 0);
    if (used_.size() > 1) body += order_;
    std::size_t definition = 0;
    for (Block* block : used_) {
        const bool is_lines = block->type == nullptr;
        body += static_cast<char>(is_lines ? BlockKind::lines : BlockKind::columns);
        body += static_cast<char>(is_lines ? 0 : definition);
        append_u16(body, 0);
        append_u32(body, block->events);
        const std::size_t bytes_at = body.size();
        append_u32(body, 0);
        if (is_lines) {
            body += block->lines;
        } else {
            ++definition;
            append_definition(content.types, *block->type);
            body += static_cast<char>(Encoding::deltas);
            body += block->times;
            for (Column& column : block->columns) column.write(body, block->events);
        }
        const auto bytes = static_cast<std::uint32_t>(body.size() - bytes_at - 4);
        std::memcpy(body.data() + bytes_at, &bytes, sizeof bytes);
    }
}

void Encoder::clear() {
    for (Block* block : used_) {
        block->events = 0;
        block->lines.clear();
        block->times.clear();
        block->last_time = 0;
        block->place = -1;
        for (Column& column : block->columns) column.clear();
    }
    used_.clear();
    order_.clear();
    values_bytes_ = definitions_bytes_ = json_bytes_ = 0;
}

}  // namespace homeward::columns
