#include "schemas/columns/event_line.hpp"

#include <array>
#include <bit>
#include <utility>

#include "schemas/text/json_text.hpp"

namespace homeward::columns {
namespace {

void append_value(std::string& out, const Column& column, std::size_t event) {
    switch (column.kind) {
        case RecordKind::integer:
        case RecordKind::timestamp:
            return append_json_number(out, static_cast<std::int64_t>(column.words[event]));
        case RecordKind::real:
            return append_json_number(out, std::bit_cast<double>(column.words[event]));
        case RecordKind::boolean:
            out += column.words[event] != 0 ? "true" : "false";
            return;
        case RecordKind::text:
            append_json_string(out, column.texts[event]);
            return;
        case RecordKind::json:
            append_json_value(out, column.texts[event]);
            return;
    }
}

}  // namespace

void append_line(std::string& out, const Block& block, std::size_t event) {
    if (block.type == nullptr) {
        out += block.lines[event];
        return;
    }
    out += R"({"type":)";
    append_json_string(out, block.type->name);
    out += R"(,"time":)";
    append_json_number(out, static_cast<std::int64_t>(block.times[event]));
    for (std::size_t i = 0; i < block.columns.size(); ++i) {
        if (!block.columns[i].has(event)) continue;
        out += block.type->fields[i].key;
        append_value(out, block.columns[i], event);
    }
    out += '}';
}

bool to_lines(FrameContent& content, std::uint32_t events) {
    if (content.body_kind == BodyKind::json_lines) return true;
    Decoder decoder;
    if (!decoder.decode(content.body, {content.types, events, content.values_bytes})) return false;
    std::array<std::size_t, kBlocksMax> next{};
    std::string lines;
    for (const char place : decoder.order()) {
        const auto block = static_cast<unsigned char>(place);
        append_line(lines, decoder.blocks()[block], next[block]++);
        lines += '\n';
    }
    content.body = std::move(lines);
    content.body_kind = BodyKind::json_lines;
    content.types.clear();
    content.values_bytes = 0;
    return true;
}

}  // namespace homeward::columns
