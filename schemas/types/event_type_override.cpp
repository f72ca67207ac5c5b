#include "schemas/types/event_type_override.hpp"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "schemas/types/schema_document.hpp"

namespace homeward {
namespace {

/// Fields keep their order, which is that of the columns.
using json = nlohmann::ordered_json;

constexpr std::uintmax_t kOverrideBytesMax = 1u << 20;

std::string read_text(const std::filesystem::path& file) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    std::ifstream stream(file, std::ios::binary);
    if (error || !stream) {
        throw SchemaError(file.string() + ": cannot be read; check the path and its permissions");
    }
    if (bytes > kOverrideBytesMax) throw SchemaError(file.string() + ": larger than 1 MiB");
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

json read_document(const std::filesystem::path& file) {
    const std::string text = read_text(file);
    // For its refusals, which name the line: what is no JSON, and keys that come twice.
    if (read_schema_document(text, file.string()).kind != SchemaNode::Kind::object) {
        refuse_schema(file.string(), 1, "an override must be a JSON object");
    }
    return json::parse(text);
}

void require_keys(const json& object, const std::set<std::string>& known, const std::string& where,
                  const std::string& file) {
    if (!object.is_object()) throw SchemaError(file + ": " + where + " must be a JSON object");
    for (const auto& [key, value] : object.items()) {
        if (known.count(key) != 0) continue;
        std::string supported;
        for (const std::string& name : known) {
            supported += (supported.empty() ? "" : ", ") + name;
        }
        throw SchemaError(file + ": an override cannot change \"" + key + "\" in " + where +
                          "; it may have: " + supported);
    }
}

void add_fields(json& merged, const json& more, const std::string& file) {
    if (!more.is_object()) throw SchemaError(file + ": \"properties\" must be a JSON object");
    for (const auto& [name, field] : more.items()) {
        if (merged["properties"].contains(name)) {
            throw SchemaError(file + ": the type has a field \"" + name +
                              "\" already, and publishers rely on what it is; an override only "
                              "adds fields");
        }
        merged["properties"][name] = field;
    }
}

void relax_required(json& merged, const json& required, const std::string& file) {
    for (const json& name : required) {
        const json& now = merged["required"];
        if (std::find(now.begin(), now.end(), name) != now.end()) continue;
        throw SchemaError(
            file + ": \"required\" names " + name.dump() +
            ", which the shipped type does not require; an override may only leave "
            "fields out, since publishers that know the shipped type would be refused");
    }
    merged["required"] = required;
}

}  // namespace

bool is_override(const std::filesystem::path& file) {
    const std::string name = file.filename().string();
    return name.size() > kOverrideSuffix.size() &&
           name.compare(name.size() - kOverrideSuffix.size(), std::string::npos, kOverrideSuffix) ==
               0;
}

std::vector<std::filesystem::path> find_overrides(const std::filesystem::path& directory) {
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        if (is_override(entry.path())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string read_override_title(const std::filesystem::path& file) {
    const json document = read_document(file);
    if (!document.contains("title") || !document["title"].is_string()) {
        throw SchemaError(file.string() +
                          ": \"title\" is missing; it names the shipped type to change");
    }
    return document["title"].get<std::string>();
}

EventType override_event_type(std::string_view shipped_json, const std::filesystem::path& file) {
    const std::string name = file.string();
    const json override_document = read_document(file);
    require_keys(override_document,
                 {"$schema", "$comment", "title", "properties", "required", "x-homeward"},
                 "an override", name);
    json merged = json::parse(shipped_json);
    if (override_document.contains("properties")) {
        add_fields(merged, override_document["properties"], name);
    }
    if (override_document.contains("required")) {
        relax_required(merged, override_document["required"], name);
    }
    if (override_document.contains("x-homeward")) {
        const json& ours = override_document["x-homeward"];
        require_keys(ours, {"retention_days", "indexes", "storage"}, "\"x-homeward\"", name);
        for (const auto& [key, value] : ours.items()) merged["x-homeward"][key] = value;
    }
    // Lines would be those of the merged text; refusals name the field or the keyword as well.
    return parse_event_type(merged.dump(4), name + ", merged with the shipped type");
}

}  // namespace homeward
