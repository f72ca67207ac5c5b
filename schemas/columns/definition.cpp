#include "schemas/columns/definition.hpp"

#include <algorithm>
#include <string>

#include "schemas/columns/layout.hpp"

namespace homeward::columns {
namespace {

void append_name(std::string& section, std::string_view name) {
    section += static_cast<char>(name.size());
    section += name;
}

std::uint8_t take_byte(std::string_view& in) {
    const auto byte = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    return byte;
}

/// Empty: there is no name of 1 to `bytes_max` bytes.
std::string_view take_name(std::string_view& in, std::size_t bytes_max) {
    if (in.empty()) return {};
    const std::size_t bytes = take_byte(in);
    if (bytes == 0 || bytes > bytes_max || bytes > in.size()) return {};
    const std::string_view name = in.substr(0, bytes);
    in.remove_prefix(bytes);
    return name;
}

/// Takes one definition off the front.
bool skip_definition(std::string_view& in) {
    if (take_name(in, kTypeNameMax).empty() || in.empty()) return false;
    const std::size_t fields = take_byte(in);
    if (fields > kFieldsMax) return false;
    for (std::size_t i = 0; i < fields; ++i) {
        if (in.empty() || take_byte(in) > static_cast<std::uint8_t>(RecordKind::json)) return false;
        if (take_name(in, kFieldNameMax).empty()) return false;
    }
    return true;
}

}  // namespace

bool is_describable(const OwnedDescriptor& type) {
    return !type.name.empty() && type.name.size() <= kTypeNameMax &&
           type.fields.size() <= kFieldsMax &&
           std::all_of(type.fields.begin(), type.fields.end(), [](const auto& field) {
               return !field.name.empty() && field.name.size() <= kFieldNameMax;
           });
}

void append_definition(std::string& section, const OwnedDescriptor& type) {
    append_name(section, type.name);
    section += static_cast<char>(type.fields.size());
    for (const auto& field : type.fields) {
        section += static_cast<char>(field.kind);
        append_name(section, field.name);
    }
}

bool split_definitions(std::string_view section, std::vector<std::string_view>& definitions) {
    definitions.clear();
    while (!section.empty()) {
        const std::string_view begin = section;
        if (!skip_definition(section)) return false;
        definitions.push_back(begin.substr(0, begin.size() - section.size()));
    }
    return definitions.size() <= kBlocksMax;
}

OwnedDescriptor read_definition(std::string_view definition) {
    OwnedDescriptor type;
    type.name = take_name(definition, kTypeNameMax);
    const std::size_t fields = take_byte(definition);
    for (std::size_t i = 0; i < fields; ++i) {
        const auto kind = static_cast<RecordKind>(take_byte(definition));
        type.fields.push_back({std::string(take_name(definition, kFieldNameMax)), kind});
    }
    return type;
}

}  // namespace homeward::columns
