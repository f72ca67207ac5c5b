#include "schemas/types/schema_reader.hpp"

namespace homeward {

void SchemaReader::visit(const SchemaNode& object, const Keywords& keywords,
                         std::string_view where) const {
    for (const Member& member : object.members) {
        const auto found = keywords.find(member.key);
        if (found == keywords.end()) refuse_keyword(member, keywords, where);
        found->second(member);
    }
}

void SchemaReader::refuse_keyword(const Member& member, const Keywords& keywords,
                                  std::string_view where) const {
    std::string supported;
    for (const auto& [name, handler] : keywords) {
        supported.append(supported.empty() ? "" : ", ").append(name);
    }
    refuse(member.line, "keyword " + quoted(member.key) + " is not supported " +
                            std::string(where) + "; supported here: " + supported);
}

void SchemaReader::require_kind(const SchemaNode& node, SchemaNode::Kind kind,
                                std::string_view what) const {
    if (node.kind == kind) return;
    const char* wanted = kind == SchemaNode::Kind::object  ? "a JSON object"
                         : kind == SchemaNode::Kind::array ? "a JSON array"
                                                           : "a single value";
    refuse(node.line, std::string(what).append(" must be ").append(wanted));
}

std::string SchemaReader::text_of(const SchemaNode& node, std::string_view what) const {
    require_kind(node, SchemaNode::Kind::scalar, what);
    if (!node.scalar.is_string()) refuse(node.line, std::string(what) + " must be a string");
    return node.scalar.get<std::string>();
}

std::uint32_t SchemaReader::count_of(const Member& member, std::uint32_t max) const {
    const SchemaNode& node = member.value;
    if (node.kind != SchemaNode::Kind::scalar || !node.scalar.is_number_unsigned() ||
        node.scalar.get<std::uint64_t>() > max) {
        refuse(node.line,
               quoted(member.key) + " must be a whole number from 0 to " + std::to_string(max));
    }
    return node.scalar.get<std::uint32_t>();
}

double SchemaReader::number_of(const Member& member) const {
    const SchemaNode& node = member.value;
    if (node.kind != SchemaNode::Kind::scalar || !node.scalar.is_number()) {
        refuse(node.line, quoted(member.key) + " must be a number");
    }
    return node.scalar.get<double>();
}

}  // namespace homeward
