#include "schemas/text/record_json.hpp"

#include <nlohmann/json.hpp>

#include "schemas/text/event.hpp"
#include "schemas/text/event_text.hpp"
#include "schemas/text/json_text.hpp"
#include "schemas/text/record_reader.hpp"

namespace homeward {
namespace {

void append_type(std::string& out, std::string_view type) {
    out.append(R"({"type":)");
    append_json_string(out, type);
}
void append_time(std::string& out, std::int64_t time_us) {
    out.append(R"(,"time":)");
    append_json_number(out, time_us);
}

/// Returns how many U+FFFD stand for what is not UTF-8.
std::size_t append_field(RecordReader& reader, const OwnedDescriptor::OwnedField& field,
                         std::string& out) {
    out.append(field.key);
    switch (field.kind) {
        case RecordKind::integer:
        case RecordKind::timestamp:
            append_json_number(out, reader.take<std::int64_t>());
            break;
        case RecordKind::real:
            append_json_number(out, reader.take<double>());
            break;
        case RecordKind::boolean:
            out.append(reader.take<std::uint8_t>() != 0 ? "true" : "false");
            break;
        case RecordKind::text:
            return append_json_string(out, reader.take_text(reader.take<std::uint32_t>()));
        case RecordKind::json:
            return append_json_value(out, reader.take_text(reader.take<std::uint32_t>()));
    }
    return 0;
}

std::size_t append_typed(RecordReader& reader, const OwnedDescriptor& descriptor,
                         std::int64_t time_us, std::string& out) {
    std::size_t replaced = 0;
    const auto presence = reader.take<std::uint64_t>();
    append_type(out, descriptor.name);
    append_time(out, time_us);
    for (std::size_t i = 0; i < descriptor.fields.size() && reader.ok(); ++i) {
        if ((presence >> i & 1u) != 0) {
            replaced += append_field(reader, descriptor.fields[i], out);
        }
    }
    out += '}';
    return replaced;
}

/// The app's own JSON object, with our two keys put before its first; a time of its own counts.
/// emit_json() refuses reserved types, but a spool of version 0.1.0 may hold one, and its line
/// would be a tombstone: it gets a name that no event type can have, which makes it a dead letter.
void append_dynamic(RecordReader& reader, std::int64_t time_us, std::string& out) {
    const std::string_view type = reader.take_text(reader.take<std::uint16_t>());
    std::string_view object = reader.take_rest();
    constexpr std::string_view kSpace = " \t\r\n";
    if (is_reserved_type(type)) {
        append_type(out, "!" + std::string(type));
    } else {
        append_type(out, type);
    }
    const bool has_time = has_own_time(object);
    if (!has_time) append_time(out, time_us);
    const std::size_t open = object.find_first_not_of(kSpace);
    if (open == std::string_view::npos || object[open] != '{') {
        // Not an object: kept as it is, behind a key, for the consumer's dead letter to show.
        out.append(R"(,"homeward.not_an_object":)");
        append_json_string(out, object);
        out += '}';
        return;
    }
    object.remove_prefix(open + 1);
    const std::size_t first = object.find_first_not_of(kSpace);
    if (first != std::string_view::npos && object[first] != '}') out += ',';
    append_json_line(out, object);
}

RecordKind kind_from(int value) {
    return static_cast<RecordKind>(value);
}

bool is_kind(int value) {
    return value >= 0 && value <= static_cast<int>(RecordKind::json);
}

std::uint32_t hash_of(const OwnedDescriptor& descriptor) {
    std::vector<FieldDescriptor> fields;
    for (const auto& field : descriptor.fields) fields.push_back({field.name, field.kind});
    return descriptor_hash(descriptor.name, descriptor.event_class, fields);
}

}  // namespace

OwnedDescriptor OwnedDescriptor::copy_of(const TypeDescriptor& descriptor) {
    OwnedDescriptor owned{
        std::string(descriptor.name), descriptor.event_class, {}, descriptor.hash};
    for (const FieldDescriptor& field : descriptor.fields) {
        owned.fields.push_back({std::string(field.name), field.kind});
    }
    return owned;
}

std::string OwnedDescriptor::to_json() const {
    nlohmann::json fields_json = nlohmann::json::array();
    for (const OwnedField& field : fields) {
        fields_json.push_back({{"name", field.name}, {"kind", static_cast<int>(field.kind)}});
    }
    return nlohmann::json{
        {"name", name}, {"class", to_string(event_class)}, {"fields", fields_json}, {"hash", hash}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool OwnedDescriptor::parse(std::string_view json_line, OwnedDescriptor& descriptor) {
    const auto json = nlohmann::json::parse(json_line, nullptr, false);
    if (!json.is_object()) return false;
    try {
        OwnedDescriptor parsed;
        parsed.name = json.at("name").get<std::string>();
        const auto event_class = parse_event_class(json.at("class").get<std::string>());
        if (!event_class) return false;
        parsed.event_class = *event_class;
        for (const auto& field : json.at("fields")) {
            const int kind = field.at("kind").get<int>();
            if (!is_kind(kind)) return false;
            parsed.fields.push_back({field.at("name").get<std::string>(), kind_from(kind)});
        }
        parsed.hash = json.at("hash").get<std::uint32_t>();
        if (parsed.hash != hash_of(parsed) || parsed.fields.size() > 64) return false;
        descriptor = std::move(parsed);
        return true;
    } catch (const nlohmann::json::exception&) {
        return false;  // a key is missing or of another type: not a descriptor
    }
}

RecordError append_record_json(std::span<const std::byte> record, const FindDescriptor& find,
                               std::string& out, std::size_t* replaced) {
    const std::size_t start = out.size();
    RecordReader reader(record);
    const auto hash = reader.take<std::uint32_t>();
    const auto time_us = reader.take<std::int64_t>();
    if (!reader.ok()) return RecordError::cut_short;
    if (hash == 0) {
        append_dynamic(reader, time_us, out);
    } else {
        const OwnedDescriptor* descriptor = find(hash);
        if (descriptor == nullptr) return RecordError::unknown_type;
        const std::size_t count = append_typed(reader, *descriptor, time_us, out);
        if (replaced != nullptr) *replaced = count;
    }
    if (reader.ok()) return RecordError::none;
    out.resize(start);
    return RecordError::cut_short;
}

}  // namespace homeward
