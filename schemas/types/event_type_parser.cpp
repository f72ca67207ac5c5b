#include <algorithm>

#include "schemas/types/column_type.hpp"
#include "schemas/types/event_type.hpp"
#include "schemas/types/schema_document.hpp"
#include "schemas/types/schema_reader.hpp"

namespace homeward {
namespace {

constexpr std::size_t kNameBytesMax = 48;
constexpr std::size_t kFieldNameBytesMax = 63;  // PostgreSQL cuts identifiers there
constexpr std::uint32_t kRetentionDaysMax = 36'500;

bool is_identifier(std::string_view name, std::size_t bytes_max) {
    const auto is_part = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    };
    return !name.empty() && name.size() <= bytes_max && name.front() >= 'a' &&
           name.front() <= 'z' && std::all_of(name.begin(), name.end(), is_part);
}

/// One parse of one file. Each keyword has one function; a keyword without one is refused.
class EventTypeParser : private SchemaReader {
  public:
    EventTypeParser(std::string_view json_text, std::string_view file_name)
        : SchemaReader(file_name), root_(read_schema_document(json_text, file_name)) {}

    EventType parse() {
        require_kind(root_, SchemaNode::Kind::object, "an event type");
        const Keywords keywords{
            {"$schema", annotation()},
            {"$id", annotation()},
            {"$comment", annotation()},
            {"examples", annotation()},
            {"title", [this](const auto& m) { parse_title(m); }},
            {"description", [this](const auto& m) { type_.description = text_of(m); }},
            {"type", [this](const auto& m) { parse_object_type(m); }},
            {"additionalProperties", [this](const auto& m) { parse_additional(m); }},
            {"properties", [this](const auto& m) { parse_properties(m); }},
            {"required", [](const auto&) {}},    // after properties
            {"x-homeward", [](const auto&) {}},  // after properties
        };
        visit(root_, keywords, "in an event type");
        for (const char* key : {"title", "type", "properties", "x-homeward"}) {
            if (root_.find(key) == nullptr) {
                refuse(root_.line, quoted(key) + " is missing from the event type");
            }
        }
        if (const auto* required = root_.find("required")) parse_required(*required);
        parse_homeward(*root_.find("x-homeward"));
        return std::move(type_);
    }

  private:
    std::string identifier_of(const Member& member) const {
        std::string name = text_of(member);
        if (!is_identifier(name, kNameBytesMax)) {
            refuse(member.value.line, quoted(member.key) + " is " + quoted(name) +
                                          "; it must be lower-case letters, digits and _, begin "
                                          "with a letter, and have at most 48 characters");
        }
        return name;
    }

    void parse_title(const Member& member) { type_.name = identifier_of(member); }
    void parse_object_type(const Member& member) const {
        if (text_of(member) != "object") {
            refuse(member.value.line, "an event type must have \"type\": \"object\"");
        }
    }
    void parse_additional(const Member& member) const {
        if (member.value.kind != SchemaNode::Kind::scalar || member.value.scalar != true) {
            refuse(member.value.line,
                   "\"additionalProperties\" can only be true: unknown keys are kept in the "
                   "column extra");
        }
    }

    void parse_properties(const Member& member) {
        require_kind(member.value, SchemaNode::Kind::object, "\"properties\"");
        if (member.value.members.size() > kFieldsMax) {
            refuse(member.line, "an event type can have at most 64 fields");
        }
        for (const Member& property : member.value.members) {
            type_.fields.push_back(parse_field(property));
        }
    }

    /// What one property says before it is judged as a whole.
    struct Draft {
        Field field;
        std::string type;
        std::string format;
        std::size_t type_line = 0;
        std::optional<ColumnType> column;
    };

    Field parse_field(const Member& property) const {
        refuse_bad_field_name(property);
        require_kind(property.value, SchemaNode::Kind::object, "a field");
        Draft draft;
        draft.field.name = property.key;
        draft.type_line = property.line;
        visit(property.value, field_keywords(draft), "in a field");
        settle_kind(draft, property);
        if (const Member* items = property.value.find("items")) {
            if (draft.type != "array") {
                refuse(items->line, "\"items\" goes with \"type\": \"array\"");
            }
        }
        refuse_misplaced(draft.field, property.value);
        return draft.field;
    }

    void refuse_bad_field_name(const Member& property) const {
        if (!is_identifier(property.key, kFieldNameBytesMax)) {
            refuse(property.line, "field " + quoted(property.key) +
                                      ": a field's name must be lower-case letters, digits and "
                                      "_, begin with a letter, and have at most 63 characters");
        }
        for (std::string_view reserved : kReservedNames) {
            if (property.key == reserved) {
                refuse(property.line, "field " + quoted(property.key) +
                                          ": the name is taken by Homeward; choose another");
            }
        }
    }

    Keywords field_keywords(Draft& draft) const {
        Field& field = draft.field;
        return {
            {"$comment", annotation()},
            {"title", annotation()},
            {"examples", annotation()},
            {"items", annotation()},  // read with the type
            {"description", [this, &field](const auto& m) { field.description = text_of(m); }},
            {"type",
             [this, &draft](const auto& m) {
                 draft.type = text_of(m);
                 draft.type_line = m.line;
             }},
            {"format", [this, &draft](const auto& m) { draft.format = text_of(m); }},
            {"maxLength",
             [this, &field](const auto& m) { field.length_max = count_of(m, kFieldBytesMax); }},
            {"enum", [this, &field](const auto& m) { parse_enum(m, field); }},
            {"minimum", [this, &field](const auto& m) { field.minimum = number_of(m); }},
            {"maximum", [this, &field](const auto& m) { field.maximum = number_of(m); }},
            {"x-homeward", [this, &draft](const auto& m) { parse_column(m, draft); }},
        };
    }

    void parse_enum(const Member& member, Field& field) const {
        require_kind(member.value, SchemaNode::Kind::array, "\"enum\"");
        for (const SchemaNode& element : member.value.elements) {
            field.allowed.push_back(text_of(element, "a value of \"enum\""));
        }
        if (field.allowed.empty()) refuse(member.line, "\"enum\" names no value");
    }

    void parse_column(const Member& member, Draft& draft) const {
        require_kind(member.value, SchemaNode::Kind::object, "\"x-homeward\"");
        visit(member.value,
              {{"column",
                [&](const auto& m) {
                    draft.column = parse_column_type(text_of(m));
                    if (!draft.column) {
                        refuse(m.value.line, "column " + quoted(text_of(m)) +
                                                 " is not one that Homeward writes; see the "
                                                 "table of kinds in schemas/README.md");
                    }
                }}},
              "in a field's x-homeward");
    }

    FieldKind scalar_kind(std::string_view type, std::string_view format, std::size_t line) const {
        if (type == "string") {
            if (format.empty()) return FieldKind::text;
            if (format == "date-time") return FieldKind::timestamp;
            if (format == "uuid") return FieldKind::uuid;
            if (format == "ip") return FieldKind::inet;
            refuse(line, "format " + quoted(format) +
                             " is not supported; supported: date-time, uuid, ip");
        }
        if (!format.empty()) refuse(line, "\"format\" goes with \"type\": \"string\"");
        if (type == "integer") return FieldKind::integer;
        if (type == "number") return FieldKind::real;
        if (type == "boolean") return FieldKind::boolean;
        if (type == "object") return FieldKind::json;
        refuse(line, "type " + quoted(type) +
                         " is not supported; supported: string, integer, number, boolean, "
                         "object, array");
    }

    void settle_kind(Draft& draft, const Member& property) const {
        Field& field = draft.field;
        if (draft.column == ColumnType::jsonb) {
            field.kind = FieldKind::json;  // any JSON value, so "type" may be anything or absent
            if (draft.type == "array") field.shape = JsonShape::array;
        } else if (draft.type.empty()) {
            refuse(property.line, "field " + quoted(field.name) + " has no \"type\"");
        } else if (draft.type == "array") {
            settle_array(draft, property);
        } else {
            field.kind = scalar_kind(draft.type, draft.format, draft.type_line);
        }
        if (draft.type == "object") field.shape = JsonShape::object;
        field.column = draft.column.value_or(default_column(field.kind));
        if (!can_store(field.kind, field.column)) {
            refuse(draft.type_line, "field " + quoted(field.name) + ": a column of type " +
                                        std::string(sql_name(field.column)) +
                                        " does not hold such values");
        }
    }

    void settle_array(Draft& draft, const Member& property) const {
        const Member* items = property.value.find("items");
        if (items == nullptr) {
            refuse(property.line, "field " + quoted(property.key) +
                                      ": an array needs \"items\", the type of its elements");
        }
        require_kind(items->value, SchemaNode::Kind::object, "\"items\"");
        std::string type;
        std::string format;
        visit(items->value,
              {{"type", [&](const auto& m) { type = text_of(m); }},
               {"format", [&](const auto& m) { format = text_of(m); }}},
              "in \"items\"");
        draft.field.kind = scalar_kind(type, format, items->line);
        draft.field.array = true;
        if (draft.field.kind == FieldKind::json) {
            refuse(items->line,
                   "an array of objects: give the field \"x-homeward\": "
                   "{\"column\": \"jsonb\"} instead of \"items\"");
        }
    }

    /// A keyword that JSON Schema would ignore on this type is a mistake of whoever wrote it.
    void refuse_misplaced(const Field& field, const SchemaNode& node) const {
        const bool plain_text = field.kind == FieldKind::text && !field.array;
        const bool number =
            (field.kind == FieldKind::integer || field.kind == FieldKind::real) && !field.array;
        for (const Member& member : node.members) {
            const bool for_text = member.key == "maxLength" || member.key == "enum";
            const bool for_number = member.key == "minimum" || member.key == "maximum";
            if ((for_text && !plain_text) || (for_number && !number)) {
                refuse(member.line, quoted(member.key) + " does not apply to field " +
                                        quoted(field.name) + "; it goes with \"type\": " +
                                        (for_text ? "\"string\" without a format"
                                                  : "\"integer\" or \"number\""));
            }
        }
    }

    void parse_required(const Member& member) {
        require_kind(member.value, SchemaNode::Kind::array, "\"required\"");
        for (const SchemaNode& element : member.value.elements) {
            const std::string name = text_of(element, "a name in \"required\"");
            const auto found = std::find_if(type_.fields.begin(), type_.fields.end(),
                                            [&](const Field& field) { return field.name == name; });
            if (found == type_.fields.end()) {
                refuse(element.line, "\"required\" names " + quoted(name) +
                                         ", which is not among the properties");
            }
            found->required = true;
        }
    }

    void parse_homeward(const Member& member) {
        require_kind(member.value, SchemaNode::Kind::object, "\"x-homeward\"");
        visit(member.value,
              {{"class", [this](const auto& m) { parse_class(m); }},
               {"table", [this](const auto& m) { type_.table = identifier_of(m); }},
               {"partition", [this](const auto& m) { parse_partition(m); }},
               {"retention_days",
                [this](const auto& m) { type_.retention_days = count_of(m, kRetentionDaysMax); }},
               {"indexes", [this](const auto& m) { parse_indexes(m); }},
               {"storage", [this](const auto& m) { parse_storage(m); }}},
              "in x-homeward");
        for (const char* key : {"class", "table"}) {
            if (member.value.find(key) == nullptr) {
                refuse(member.line, quoted(key) + " is missing from \"x-homeward\"");
            }
        }
        if (type_.retention_days > 0 && type_.partitioning == Partitioning::none) {
            refuse(member.value.find("retention_days")->line,
                   "\"retention_days\" needs \"partition\": \"day\": rows are dropped by the day");
        }
        if (type_.is_packed && type_.partitioning == Partitioning::none) {
            refuse(member.value.find("storage")->line,
                   "\"storage\": \"packed\" needs \"partition\": \"day\": each pack is of one day");
        }
    }

    void parse_class(const Member& member) {
        const auto event_class = parse_event_class(text_of(member));
        if (!event_class) refuse(member.value.line, "\"class\" must be \"audit\" or \"metric\"");
        type_.event_class = *event_class;
    }
    void parse_partition(const Member& member) {
        const std::string text = text_of(member);
        if (text != "day" && text != "none") {
            refuse(member.value.line, "\"partition\" must be \"day\" or \"none\"");
        }
        type_.partitioning = text == "day" ? Partitioning::day : Partitioning::none;
    }

    void parse_indexes(const Member& member) {
        require_kind(member.value, SchemaNode::Kind::array, "\"indexes\"");
        for (const SchemaNode& element : member.value.elements) {
            require_kind(element, SchemaNode::Kind::object, "an index");
            Index index;
            visit(element,
                  {{"columns", [&](const auto& m) { parse_index_columns(m, index); }},
                   {"method", [&](const auto& m) { parse_index_method(m, index); }}},
                  "in an index");
            if (index.columns.empty()) refuse(element.line, "an index needs \"columns\"");
            type_.indexes.push_back(std::move(index));
        }
    }
    void parse_storage(const Member& member) {
        if (member.value.kind == SchemaNode::Kind::scalar) return parse_layout(member);
        require_kind(member.value, SchemaNode::Kind::object, "\"storage\"");
        for (const Member& column : member.value.members) {
            if (column.key != "extra" && type_.find(column.key) == nullptr) {
                refuse(column.line, "\"storage\" names the column " + quoted(column.key) +
                                        ", which the event type does not have");
            }
            const std::string how = text_of(column);
            const auto known = {"plain", "external", "extended", "main", "pglz", "lz4"};
            if (std::find(known.begin(), known.end(), how) == known.end()) {
                refuse(column.line,
                       "\"storage\" of a column must be plain, external, extended, "
                       "main, pglz or lz4");
            }
            type_.storage[column.key] = how;
        }
    }
    void parse_layout(const Member& member) {
        const std::string layout = text_of(member);
        if (layout != "rows" && layout != "packed") {
            refuse(member.value.line,
                   "\"storage\" must be rows or packed, or an object of columns");
        }
        type_.is_packed = layout == "packed";
    }
    void parse_index_columns(const Member& member, Index& index) const {
        require_kind(member.value, SchemaNode::Kind::array, "\"columns\"");
        for (const SchemaNode& element : member.value.elements) {
            std::string name = text_of(element, "a column of an index");
            const bool ours = name == "origin" || name == "seq" || name == "time";
            if (!ours && type_.find(name) == nullptr) {
                refuse(element.line, "an index names the column " + quoted(name) +
                                         ", which the event type does not have");
            }
            index.columns.push_back(std::move(name));
        }
    }
    void parse_index_method(const Member& member, Index& index) const {
        index.method = text_of(member);
        for (std::string_view known : {"btree", "brin", "gin", "hash"}) {
            if (index.method == known) return;
        }
        refuse(member.value.line, "\"method\" must be btree, brin, gin or hash");
    }

    SchemaNode root_;
    EventType type_;
};

}  // namespace

EventType parse_event_type(std::string_view json_text, std::string_view file_name) {
    return EventTypeParser(json_text, file_name).parse();
}

}  // namespace homeward
