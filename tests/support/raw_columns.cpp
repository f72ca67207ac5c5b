#include "tests/support/raw_columns.hpp"

#include <cstring>

#include "schemas/columns/layout.hpp"
#include "schemas/columns/varint.hpp"

namespace homeward::testing {
namespace {

using columns::append_varint;

void append_u32(std::string& out, std::size_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

void append_name(std::string& out, const std::string& name) {
    out += static_cast<char>(name.size());
    out += name;
}

}  // namespace

std::string raw_patterns(const std::vector<std::string>& patterns, const std::string& places,
                         const std::vector<RawNumbers>& numbers) {
    std::string out;
    append_varint(out, patterns.size());
    for (const std::string& pattern : patterns) append_varint(out, pattern.size());
    for (const std::string& pattern : patterns) out += pattern;
    out += places;
    for (const RawNumbers& one : numbers) {
        out += static_cast<char>(one.bytes);
        append_varint(out, one.least);
        for (const std::uint64_t more : one.more) {
            out.append(reinterpret_cast<const char*>(&more), one.bytes);
        }
    }
    return out;
}

FrameContent raw_columns(const std::string& type, const std::vector<std::int64_t>& times_us,
                         const std::vector<RawColumn>& columns) {
    FrameContent content;
    content.body_kind = BodyKind::columns;
    content.values_bytes = columns::kValuesBytesMax;
    append_name(content.types, type);
    content.types += static_cast<char>(columns.size());
    std::string block(1, static_cast<char>(columns::Encoding::deltas));
    std::int64_t last = 0;
    for (const std::int64_t time : times_us) {
        append_varint(block, columns::zigzag(time - last));
        last = time;
    }
    for (const RawColumn& column : columns) {
        content.types += static_cast<char>(column.kind);
        append_name(content.types, column.name);
        block += column.bytes;
    }
    content.body = {'\1', '\0', '\0', '\0', static_cast<char>(columns::BlockKind::columns)};
    content.body.append(3, '\0');  // its definition is the first
    append_u32(content.body, times_us.size());
    append_u32(content.body, block.size());
    content.body += block;
    return content;
}

}  // namespace homeward::testing
