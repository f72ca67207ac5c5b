#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "schemas/types/schema_document.hpp"

namespace homeward {

/// Reads the members of a JSON Schema document by their keywords, and refuses with file and line
/// what is not as it must be: throws SchemaError.
class SchemaReader {
  public:
    /// @param file_name for errors; it must outlive the reader
    explicit SchemaReader(std::string_view file_name) : file_name_(file_name) {}

  protected:
    using Member = SchemaNode::Member;
    using Handler = std::function<void(const Member&)>;
    using Keywords = std::map<std::string_view, Handler>;

    [[noreturn]] void refuse(std::size_t line, std::string_view what) const {
        refuse_schema(file_name_, line, what);
    }
    static std::string quoted(std::string_view text) {
        return std::string("\"").append(text).append("\"");
    }
    static Handler annotation() {
        return [](const Member&) {};
    }
    void visit(const SchemaNode& object, const Keywords& keywords, std::string_view where) const;
    [[noreturn]] void refuse_keyword(const Member& member, const Keywords& keywords,
                                     std::string_view where) const;
    void require_kind(const SchemaNode& node, SchemaNode::Kind kind, std::string_view what) const;
    std::string text_of(const SchemaNode& node, std::string_view what) const;
    std::string text_of(const Member& member) const {
        return text_of(member.value, quoted(member.key));
    }
    std::uint32_t count_of(const Member& member, std::uint32_t max) const;
    double number_of(const Member& member) const;

  private:
    std::string_view file_name_;
};

}  // namespace homeward
