#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace homeward {

/// A JSON value in which everything knows the line where it stands, so that a refusal can name it.
/// Immutable once read.
struct SchemaNode {
    enum class Kind : unsigned char { scalar, object, array };
    struct Member;

    Kind kind = Kind::scalar;
    std::size_t line = 1;
    nlohmann::json scalar;             ///< null, bool, number or string
    std::vector<Member> members;       ///< of an object, in the file's order
    std::vector<SchemaNode> elements;  ///< of an array

    const Member* find(std::string_view key) const;
};

struct SchemaNode::Member {
    std::string key;
    std::size_t line;  ///< of the key
    SchemaNode value;
};

/// Throws SchemaError for what is not JSON, and for a duplicate key in one object.
SchemaNode read_schema_document(std::string_view json_text, std::string_view file_name);

/// "order.json:14: keyword \"pattern\" …", as SchemaError.
[[noreturn]] void refuse_schema(std::string_view file_name, std::size_t line,
                                std::string_view what);

}  // namespace homeward
