#include "schemas/types/generator/event_header.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace homeward {
namespace {

/// More values than this are looked up by eye no better than text.
constexpr std::size_t kEnumValuesMax = 32;

bool is_keyword(const std::string& name) {
    static const std::set<std::string_view> kKeywords{
        "alignas", "alignof", "and", "asm", "auto", "bool", "break", "case", "catch", "char",
        "class", "concept", "const", "continue", "decltype", "default", "delete", "do", "double",
        "else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto",
        "if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "nullptr",
        "operator", "or", "private", "protected", "public", "register", "requires", "return",
        "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw",
        "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual",
        "void", "volatile", "while", "xor", "bitand", "bitor", "compl", "constexpr", "consteval",
        "constinit", "co_await", "co_return", "co_yield", "and_eq", "or_eq", "not_eq", "xor_eq",
        "char8_t", "char16_t", "char32_t", "wchar_t", "static_assert", "static_cast",
        "dynamic_cast", "const_cast", "reinterpret_cast", "thread_local",
        // names that the struct itself has
        "record_bytes", "write_record", "to_text", "is_complete", "has_short_texts",
        // macros of <cerrno> and of compilers that take GNU's dialect
        "errno", "linux", "unix"};
    return kKeywords.count(name) != 0;
}

std::string member_name(const std::string& field_name) {
    return is_keyword(field_name) ? field_name + "_" : field_name;
}

bool is_cpp_identifier(const std::string& text) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !text.empty() && is_letter(text.front()) &&
           std::all_of(text.begin(), text.end(),
                       [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); }) &&
           text.find("__") == std::string::npos && !(text.front() == '_');
}

bool has_enum(const Field& field) {
    return !field.array && !field.allowed.empty() && field.allowed.size() <= kEnumValuesMax &&
           std::all_of(field.allowed.begin(), field.allowed.end(), is_cpp_identifier);
}

/// "outcome" → "Outcome"; a field named like its type would otherwise hide the struct.
std::string enum_name(const EventType& type, const Field& field) {
    const std::string name = struct_name(field.name);
    return name == struct_name(type.name) ? name + "Value" : name;
}

struct CppKind {
    std::string_view type;
    std::string_view record_kind;
    std::string_view value = "";  // what makes the record's value of one that is there
    bool knows_whether_set = false;
};

bool is_decimal(const Field& field) {
    return field.kind == FieldKind::real && field.column == ColumnType::numeric;
}

CppKind array_kind(const Field& field) {
    if (is_decimal(field)) return {"homeward::Array<homeward::Decimal>", "json", "", true};
    switch (field.kind) {
        case FieldKind::integer:
            return {"homeward::Array<std::int64_t>", "json", "", true};
        case FieldKind::real:
            return {"homeward::Array<double>", "json", "", true};
        case FieldKind::boolean:
            return {"homeward::Array<bool>", "json", "", true};
        case FieldKind::timestamp:
            return {"homeward::Array<homeward::TimeUs>", "json", "", true};
        default:
            return {"homeward::Array<homeward::Text>", "json", "", true};
    }
}

CppKind json_kind(const Field& field) {
    switch (field.shape) {
        case JsonShape::object:
            return {"homeward::JsonOf<homeward::JsonObject>", "json", ".view()", true};
        case JsonShape::array:
            return {"homeward::JsonOf<homeward::JsonArray>", "json", ".view()", true};
        case JsonShape::any:
            return {"homeward::JsonOf<homeward::JsonBuilder>", "json", ".view()", true};
    }
    return {};
}

CppKind cpp_kind(const Field& field) {
    if (field.array) return array_kind(field);
    if (is_decimal(field)) return {"homeward::Decimal", "text", ".text()", true};
    switch (field.kind) {
        case FieldKind::text:
        case FieldKind::uuid:
        case FieldKind::inet:
            return {"homeward::Text", "text", ".view()", true};
        case FieldKind::integer:
            return {"std::int64_t", "integer"};
        case FieldKind::real:
            return {"double", "real"};
        case FieldKind::boolean:
            return {"bool", "boolean"};
        case FieldKind::timestamp:
            return {"homeward::TimeUs", "timestamp"};
        case FieldKind::json:
            return json_kind(field);
    }
    return {};
}

bool is_text(const Field& field) {
    return cpp_kind(field).type == "homeward::Text" && !has_enum(field);
}

/// A type that knows by itself whether it was set.
bool knows_whether_set(const Field& field) {
    return !has_enum(field) && cpp_kind(field).knows_whether_set;
}

std::string member_type(const EventType& type, const Field& field) {
    const std::string kind =
        has_enum(field) ? enum_name(type, field) : std::string(cpp_kind(field).type);
    if (!field.required) {
        return is_text(field) ? "homeward::OptionalText" : "std::optional<" + kind + ">";
    }
    return knows_whether_set(field) ? kind : "homeward::Required<" + kind + ">";
}

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
    return text;
}

/// As a C++ string literal's content: only what is safe stays, the rest is escaped in octal.
std::string literal(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.append("\\").append(1, c);
        } else if (byte >= 0x20 && byte < 0x7f && c != '?') {
            out += c;
        } else {
            constexpr char kDigits[] = "01234567";
            out.append("\\").append(1, kDigits[byte >> 6]);
            out.append(1, kDigits[byte >> 3 & 7]).append(1, kDigits[byte & 7]);
        }
    }
    return out + "\"";
}

std::string enum_code(const EventType& type, const Field& field) {
    const std::string name = enum_name(type, field);
    std::string code = "    enum class " + name + " : std::uint8_t {";
    std::string texts;
    for (std::size_t i = 0; i < field.allowed.size(); ++i) {
        const std::string& value = field.allowed[i];
        const bool last = i + 1 == field.allowed.size();
        code.append(i == 0 ? " " : ", ").append(member_name(value));
        texts.append(literal(value)).append(last ? "" : ", ");
    }
    code += " };\n";
    // A member, because a constant within a constexpr function would be made at each call.
    code += "    static constexpr std::array<std::string_view, " +
            std::to_string(field.allowed.size()) + "> k" + name + "Texts{" + texts +
            "};\n    static constexpr std::string_view to_text(" + name +
            " value) noexcept {\n        return k" + name +
            "Texts[static_cast<std::size_t>(value)];\n    }\n\n";
    return code;
}

std::string members_code(const EventType& type) {
    std::string code;
    for (const Field& field : type.fields) {
        if (!field.description.empty()) {
            code += "    /// " + one_line(field.description) + "\n";
        }
        code += "    " + member_type(type, field) + " " + member_name(field.name) + "{};\n";
    }
    return code;
}

std::string descriptor_code(const EventType& type) {
    std::string code = "\n    static constexpr std::array<homeward::FieldDescriptor, " +
                       std::to_string(type.fields.size()) + "> kFields{{\n";
    for (const Field& field : type.fields) {
        code += "        {" + literal(field.name) +
                ", homeward::RecordKind::" + std::string(cpp_kind(field).record_kind) + "},\n";
    }
    const std::string event_class =
        "homeward::EventClass::" + std::string(to_string(type.event_class));
    code += "    }};\n    static constexpr homeward::TypeDescriptor kDescriptor{\n        " +
            literal(type.name) + ", " + event_class + ", kFields,\n" +
            "        homeward::descriptor_hash(" + literal(type.name) + ", " + event_class +
            ", kFields)};\n";
    return code;
}

std::string required_code(const EventType& type) {
    std::string names;
    std::size_t count = 0;
    for (const Field& field : type.fields) {
        if (!field.required) continue;
        names.append(count++ == 0 ? "" : ", ").append(literal(field.name));
    }
    return "    static constexpr std::array<std::string_view, " + std::to_string(count) +
           "> kRequired{" + names + "};\n";
}

std::string value_code(const Field& field) {
    const std::string value =
        (field.required ? "" : "(*") + member_name(field.name) + (field.required ? "" : ")");
    if (has_enum(field)) return "to_text(" + value + (field.required ? ".value()" : "") + ")";
    if (field.required && !knows_whether_set(field)) return value + ".value()";
    return value + std::string(cpp_kind(field).value);
}

/// Whether all that the leader demands was set, and what its text columns take.
std::string check_code(const EventType& type) {
    std::string is_set;
    std::string is_short;
    const auto add = [](std::string& all, const std::string& one) {
        all += (all.empty() ? "" : " & ") + one;
    };
    for (const Field& field : type.fields) {
        const std::string name = member_name(field.name);
        if (field.required) add(is_set, "int{" + name + ".is_set()}");
        if (is_text(field)) {
            add(is_short, "int{" + name + (field.required ? "." : "->") +
                              "size() <= homeward::kTextBytesMax}");
        }
    }
    return "\n    /// Whether all required fields were set; emit() refuses an event without.\n"
           "    bool is_complete() const noexcept { return " +
           (is_set.empty() ? "true" : "(" + is_set + ") != 0") +
           "; }\n    /// Whether no text is longer than a column takes.\n"
           "    bool has_short_texts() const noexcept { return " +
           (is_short.empty() ? "true" : "(" + is_short + ") != 0") + "; }\n";
}

/// In front of what is only to be done when the field is set.
std::string condition_code(const Field& field) {
    return field.required ? "" : "if (" + member_name(field.name) + ") ";
}

// What the functions of the struct have of their own is written with a capital, as no field is: a
// parameter "at" would hide a field of that name, and be written in its place.

std::string size_code(const EventType& type) {
    std::string code =
        "\n    /// Bytes that write_record() will write.\n"
        "    std::size_t record_bytes() const noexcept {\n"
        "        std::size_t recordBytes = homeward::kTypedHeaderBytes;\n";
    for (const Field& field : type.fields) {
        code += "        " + condition_code(field) + "recordBytes += homeward::record_bytes(" +
                value_code(field) + ");\n";
    }
    return code + "        return recordBytes;\n    }\n";
}

std::string write_code(const EventType& type) {
    std::string code =
        "\n    /// Writes the event as a lane record; returns the end of what it wrote.\n"
        "    std::byte* write_record(std::byte* recordAt, std::int64_t timeUs) const noexcept {\n"
        "        std::uint64_t presenceBits = 0;\n";
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
        code += "        " + condition_code(type.fields[i]) +
                "presenceBits |= std::uint64_t{1} << " + std::to_string(i) + ";\n";
    }
    code +=
        "        recordAt = homeward::put_raw(recordAt, kDescriptor.hash);\n"
        "        recordAt = homeward::put_raw(recordAt, timeUs);\n"
        "        recordAt = homeward::put_raw(recordAt, presenceBits);\n";
    for (const Field& field : type.fields) {
        code += "        " + condition_code(field) + "recordAt = homeward::put(recordAt, " +
                value_code(field) + ");\n";
    }
    return code + "        return recordAt;\n    }\n";
}

}  // namespace

std::string struct_name(const std::string& type_name) {
    std::string name;
    bool capital = true;
    for (char c : type_name) {
        if (c == '_') {
            capital = true;
        } else {
            name += capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
            capital = false;
        }
    }
    return name;
}

std::string generate_event_header(const EventType& type, const std::string& source_name) {
    std::string code = "// Generated from " + one_line(source_name) +
                       "; edit that file, not this one.\n#pragma once\n\n"
                       "#include <array>\n#include <cstddef>\n#include <cstdint>\n"
                       "#include <optional>\n#include <string_view>\n\n"
                       "#include <homeward/record.hpp>\n\nnamespace homeward::events {\n\n";
    if (!type.description.empty()) code += "/// " + one_line(type.description) + "\n";
    code +=
        "/// Texts are borrowed only until emit() returns; a temporary string does not compile.\n"
        "struct " +
        struct_name(type.name) + " {\n";
    for (const Field& field : type.fields) {
        if (has_enum(field)) code += enum_code(type, field);
    }
    code += members_code(type);
    code += descriptor_code(type);
    code += required_code(type);
    code += check_code(type);
    code += size_code(type);
    code += write_code(type);
    code += "};\n\n}  // namespace homeward::events\n";
    return code;
}

}  // namespace homeward
