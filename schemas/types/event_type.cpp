#include "schemas/types/event_type.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "schemas/types/event_type_override.hpp"

namespace homeward {
namespace {

/// A schema file larger than this is not one.
constexpr std::uintmax_t kSchemaFileBytesMax = 1u << 20;

void refuse_twins(const std::vector<EventType>& types,
                  const std::vector<std::filesystem::path>& files) {
    for (std::size_t i = 0; i < types.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const bool same_name = types[i].name == types[j].name;
            if (!same_name && types[i].table != types[j].table) continue;
            throw SchemaError(files[i].string() + ": the " + (same_name ? "type \"" : "table \"") +
                              (same_name ? types[i].name : types[i].table) +
                              "\" is already defined in " + files[j].string() +
                              "; give one of them another name");
        }
    }
}

}  // namespace

const Field* EventType::find(std::string_view field_name) const {
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& field) { return field.name == field_name; });
    return found == fields.end() ? nullptr : &*found;
}

EventType load_event_type(const std::filesystem::path& file) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    std::ifstream stream(file, std::ios::binary);
    if (error || !stream) {
        throw SchemaError(file.string() + ": cannot be read; check the path and its permissions");
    }
    if (bytes > kSchemaFileBytesMax) {
        throw SchemaError(file.string() + ": larger than 1 MiB; this is not an event type");
    }
    std::ostringstream text;
    text << stream.rdbuf();
    return parse_event_type(text.str(), file.string());
}

std::vector<EventType> load_event_types(const std::filesystem::path& directory) {
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        const auto& file = entry.path();
        if (file.extension() == ".json" && !is_override(file)) files.push_back(file);
    }
    if (error) {
        throw SchemaError(directory.string() + ": not a directory that can be read; " +
                          error.message());
    }
    std::sort(files.begin(), files.end());
    std::vector<EventType> types;
    for (const auto& file : files) types.push_back(load_event_type(file));
    refuse_twins(types, files);
    return types;
}

}  // namespace homeward
