#include "consumer/base/config_file.hpp"

#include <algorithm>
#include <map>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include "consumer/base/config_settings.hpp"
#include "schemas/text/nearest_name.hpp"

namespace homeward::consumer {
namespace {

std::vector<std::string> keys_of(const std::map<std::string, Setter>& known) {
    std::vector<std::string> keys;
    keys.reserve(known.size());
    for (const auto& [key, setter] : known) keys.push_back(key);
    return keys;
}

std::string place(const toml::node& node, const std::filesystem::path& file) {
    return file.string() + ":" + std::to_string(node.source().begin.line);
}

std::string as_text(const toml::node& node, const std::string& where) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (const auto* list = node.as_array()) {
        std::string joined;
        for (const auto& element : *list) {
            joined += (joined.empty() ? "" : ",") + as_text(element, where);
        }
        return joined;
    }
    throw ConfigError(where + ": expected a string, a whole number, true, false or a list");
}

StreamKind parse_kind(const std::string& text, const std::string& where) {
    for (StreamKind kind : {StreamKind::audit, StreamKind::metric, StreamKind::plain}) {
        if (text == to_string(kind)) return kind;
    }
    throw ConfigError(where + ": kind \"" + text + "\"; expected audit, metric or plain");
}

std::vector<StreamKind> parse_kinds(const toml::array& list, const std::string& where) {
    std::vector<StreamKind> kinds;
    for (const auto& element : list) {
        const StreamKind kind = parse_kind(as_text(element, where), where);
        if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) {
            throw ConfigError(where + ": kind \"" + std::string(to_string(kind)) +
                              "\" is there more than once");
        }
        kinds.push_back(kind);
    }
    if (kinds.empty()) {
        throw ConfigError(where + ": kinds is empty; expected audit, metric or plain");
    }
    return kinds;
}

Source parse_source(const toml::table& table, const std::filesystem::path& file) {
    Source source;
    for (const auto& [key, node] : table) {
        const std::string where = place(node, file);
        const std::string name(key.str());
        if (name == "region") {
            source.region = as_text(node, where);
        } else if (name == "domain") {
            source.domain = as_text(node, where);
        } else if (name == "replicas") {
            source.replicas = parse_replicas(as_text(node, where), where);
        } else if (name == "kinds") {
            if (!node.is_array())
                throw ConfigError(where + ": kinds is no list; write [\"audit\"]");
            source.kinds = parse_kinds(*node.as_array(), where);
        } else {
            throw ConfigError(where + ": unknown key \"" + name +
                              "\" in [[source]]; known: region, domain, replicas, kinds");
        }
    }
    if (!is_valid_name(source.region)) {
        throw ConfigError(place(table, file) + ": [[source]] region is \"" + source.region +
                          "\"; expected 1 to 32 of a-z, 0-9, _ and -");
    }
    return source;
}

/// The key that replaces a retired one, with a warning.
std::string current_key(const std::string& key, const std::string& where, Config& config) {
    for (const RenamedSetting& renamed : kRenamedSettings) {
        if (key != renamed.old_key) continue;
        config.warnings.push_back(where + ": " + key + " is now " + renamed.key +
                                  "; the old name works until 1.0");
        return renamed.key;
    }
    return key;
}

}  // namespace

void read_file(Config& config, const std::filesystem::path& file) {
    if (std::error_code error; std::filesystem::is_directory(file, error)) {
        throw ConfigError(file.string() + ": is a directory; name the file in it");
    }
    toml::table root;
    try {
        root = toml::parse_file(file.string());
    } catch (const toml::parse_error& error) {
        const auto line = error.source().begin.line;
        throw ConfigError(file.string() + (line > 0 ? ":" + std::to_string(line) : "") + ": " +
                          std::string(error.description()));
    }
    const auto known = setters(config);
    for (const auto& [section, node] : root) {
        const std::string name(section.str());
        if (name == "source" && node.is_array_of_tables()) {
            for (const auto& source : *node.as_array()) {
                config.sources.push_back(parse_source(*source.as_table(), file));
            }
            continue;
        }
        const auto* table = node.as_table();
        if (table == nullptr) {
            throw ConfigError(place(node, file) + ": \"" + name + "\" must be inside a [section]");
        }
        for (const auto& [key, value] : *table) {
            const std::string path =
                current_key(name + "." + std::string(key.str()), place(value, file), config);
            const auto setter = known.find(path);
            if (setter == known.end()) {
                const auto near = nearest(path, keys_of(known));
                throw ConfigError(place(value, file) + ": unknown key \"" + path + "\"; " +
                                  (near ? "did you mean \"" + *near + "\"?"
                                        : "see deploy/homeward-consumer.toml for all there are"));
            }
            apply_setter(setter->second, as_text(value, place(value, file)), place(value, file),
                         path);
        }
    }
}

}  // namespace homeward::consumer
