#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/types/event_type.hpp"

namespace homeward {

/// A file of a user's types directory that changes a shipped type instead of making one of its own:
/// <name>.override.json.
inline constexpr std::string_view kOverrideSuffix = ".override.json";
bool is_override(const std::filesystem::path& file);

/// Every override of a directory, sorted by name.
std::vector<std::filesystem::path> find_overrides(const std::filesystem::path& directory);

/// The title that an override names: which type it changes. Throws SchemaError.
std::string read_override_title(const std::filesystem::path& file);

/// The shipped type as the override wants it. It may set retention_days, indexes and storage, add
/// fields, none of them required, and leave fields out of "required"; whatever else a publisher
/// relies on stays. Throws SchemaError that names the file.
EventType override_event_type(std::string_view shipped_json, const std::filesystem::path& file);

}  // namespace homeward
