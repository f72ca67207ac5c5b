// Bodies of columns: whatever the bytes, decoding stays within the caps and never reads beyond
// them; what decodes becomes as many lines as it has events.

#include <algorithm>

#include "schemas/columns/decoder.hpp"
#include "schemas/columns/encoder.hpp"
#include "schemas/columns/event_line.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

void check(const FrameContent& content, std::uint32_t events) {
    static columns::Decoder decoder;
    if (!decoder.decode(content.body, {content.types, events, content.values_bytes})) return;
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (const columns::Block& block : decoder.blocks()) {
        count += block.events;
        for (const std::string_view line : block.lines) bytes += line.size();
        for (const columns::Column& column : block.columns) {
            for (std::size_t i = 0; i < block.events; ++i) {
                if (column.has(i) && column.words.empty()) bytes += column.texts[i].size();
            }
        }
    }
    require(count == events && decoder.order().size() == events);
    require(bytes <= content.values_bytes);
    FrameContent lines = content;
    require(columns::to_lines(lines, events));
    require(static_cast<std::size_t>(std::count(lines.body.begin(), lines.body.end(), '\n')) >=
            events);
}

/// A body that the encoder writes, of records that the input gives.
std::uint32_t encode(fuzz::Bytes& input, FrameContent& content) {
    OwnedDescriptor type;
    type.name = "sample";
    type.hash = 1;
    for (std::uint8_t kind = 0; kind <= static_cast<std::uint8_t>(RecordKind::json); ++kind) {
        type.fields.push_back({"f" + std::to_string(kind), static_cast<RecordKind>(kind)});
    }
    columns::Encoder encoder;
    for (int i = input.take<std::uint8_t>(); i >= 0; --i) {
        std::vector<std::byte> record(4);
        record[0] = std::byte{1};
        const auto rest = input.take_span(input.take<std::uint8_t>());
        record.insert(record.end(), rest.begin(), rest.end());
        encoder.add(
            record, [&](std::uint32_t hash) { return hash == 1 ? &type : nullptr; }, nullptr);
    }
    if (encoder.events() > 0) encoder.write(content);
    return encoder.events();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    FrameContent content;
    content.body_kind = BodyKind::columns;
    if (input.take<std::uint8_t>() % 2 == 0) {
        const std::uint32_t events = input.take<std::uint16_t>() + 1u;
        content.types = input.take_text(input.take<std::uint8_t>());
        content.values_bytes = input.take<std::uint32_t>();
        content.body = input.take_text(input.size());
        check(content, events);
        return 0;
    }
    const std::uint32_t events = encode(input, content);
    if (events == 0) return 0;
    FrameContent lines = content;
    require(columns::to_lines(lines, events));
    check(content, events);
    fuzz::damage(std::as_writable_bytes(std::span<char>(content.body)), input);
    check(content, events);
    return 0;
}
