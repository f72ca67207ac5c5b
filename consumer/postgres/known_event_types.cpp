#include <filesystem>
#include <map>
#include <string>

#include "consumer/postgres/schema.hpp"
#include "schemas/types/embedded.hpp"
#include "schemas/types/event_type_override.hpp"

namespace homeward::consumer {

std::vector<EventType> known_event_types(const Config& config) {
    const std::string& dir = config.schema.types_dir;
    std::map<std::string, std::filesystem::path> overrides;
    for (const auto& file : find_overrides(dir)) {
        const std::string title = read_override_title(file);
        if (!overrides.emplace(title, file).second) {
            throw SchemaError(file.string() + ": another file overrides \"" + title + "\" as well");
        }
    }
    std::vector<EventType> types;
    for (const ShippedEventType& shipped : shipped_event_types()) {
        const auto found = overrides.find(std::string(shipped.name));
        if (found == overrides.end()) {
            types.push_back(parse_event_type(shipped.json, std::string(shipped.name) + ".json"));
        } else {
            types.push_back(override_event_type(shipped.json, found->second));
            overrides.erase(found);
        }
    }
    if (!overrides.empty()) {
        throw SchemaError(overrides.begin()->second.string() + ": \"" + overrides.begin()->first +
                          "\" is no type that Homeward ships; change a type of your own in its "
                          "own file");
    }
    if (dir.empty()) return types;
    for (EventType& own : load_event_types(dir)) {
        for (const EventType& type : types) {
            if (type.name == own.name || type.table == own.table) {
                throw SchemaError(dir + ": type \"" + own.name + "\" or its table \"" + own.table +
                                  "\" is one that Homeward ships; give it another name, or change "
                                  "the shipped one in " +
                                  type.name + std::string(kOverrideSuffix));
            }
        }
        types.push_back(std::move(own));
    }
    return types;
}

}  // namespace homeward::consumer
