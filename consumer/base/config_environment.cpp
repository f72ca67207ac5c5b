#include "consumer/base/config_environment.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <unistd.h>

#include "consumer/base/config_settings.hpp"
#include "schemas/text/nearest_name.hpp"

namespace homeward::consumer {
namespace {

std::string environment_name(const std::string& path) {
    std::string name = "HOMEWARD_" + path;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return c == '.' ? '_' : static_cast<char>(std::toupper(c));
    });
    return name;
}

/// Applies a setting's variable. False: it is not set.
bool read_variable(const Setter& setter, const std::string& name, const std::string& path) {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return false;
    apply_setter(setter, value, "environment variable " + name, path);
    return true;
}

void read_environment(Config& config) {
    const auto known = setters(config);
    for (const RenamedSetting& renamed : kRenamedSettings) {
        const std::string name = environment_name(renamed.old_key);
        if (!read_variable(known.at(renamed.key), name, renamed.key)) continue;
        config.warnings.push_back("environment variable " + name + " is now " +
                                  environment_name(renamed.key) + "; the old name works until 1.0");
    }
    for (const auto& [path, setter] : known) {
        read_variable(setter, environment_name(path), path);
    }
    // HOMEWARD_SOURCES=ams@ams:3,scl  (region, @domain if it has one, :replicas if not 1)
    if (const char* value = std::getenv("HOMEWARD_SOURCES")) {
        config.sources.clear();
        std::istringstream stream(value);
        for (std::string part; std::getline(stream, part, ',');) {
            Source source;
            const std::size_t colon = part.find(':');
            if (colon != std::string::npos) {
                source.replicas =
                    parse_replicas(part.substr(colon + 1), "environment variable HOMEWARD_SOURCES");
                part.resize(colon);
            }
            const std::size_t at = part.find('@');
            source.region = part.substr(0, at);
            if (at != std::string::npos) source.domain = part.substr(at + 1);
            if (!is_valid_name(source.region)) {
                throw ConfigError("environment variable HOMEWARD_SOURCES: \"" + part +
                                  "\"; expected region or region@domain, separated by commas");
            }
            config.sources.push_back(source);
        }
    }
}

/// Of the publisher and the replay helper, and of an app's env file.
const std::set<std::string>& names_of_others() {
    static const std::set<std::string> kNames{
        "HOMEWARD_REGION",      "HOMEWARD_APP",           "HOMEWARD_NATS_URL",
        "HOMEWARD_NATS_USER",   "HOMEWARD_NATS_PASSWORD", "HOMEWARD_NATS_INBOX_PREFIX",
        "HOMEWARD_REPLAY_KEYS", "HOMEWARD_FULL",          "HOMEWARD_LIBRARY",
        "HOMEWARD_SPOOL_DIR",   "HOMEWARD_LANE_DIR"};
    return kNames;
}

/// What Kubernetes sets in every container for a service whose name begins with "homeward".
bool is_service_link(const std::string& name) {
    static const std::regex kLink(
        "HOMEWARD(_[A-Z0-9_]+)?_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|"
        "PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)");
    return std::regex_match(name, kLink);
}

/// A variable that is no setting of anything: a typo would leave a default in force, unseen.
void read_unknown_environment(Config& config) {
    std::vector<std::string> known{"HOMEWARD_SOURCES"};
    for (const auto& [path, setter] : setters(config)) known.push_back(environment_name(path));
    for (const RenamedSetting& renamed : kRenamedSettings) {
        known.push_back(environment_name(renamed.old_key));
    }
    const std::string prefix = "HOMEWARD_";
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string text = *entry;
        const std::string name = text.substr(0, text.find('='));
        if (name.compare(0, prefix.size(), prefix) != 0 || names_of_others().count(name) == 1 ||
            is_service_link(name) || std::find(known.begin(), known.end(), name) != known.end()) {
            continue;
        }
        if (const auto near = nearest(name, known)) {
            throw ConfigError("environment variable " + name + " is no setting; did you mean " +
                              *near + "?");
        }
        config.warnings.push_back("environment variable " + name +
                                  " is no setting of homeward-consumer, and is ignored");
    }
}

}  // namespace

void apply_environment(Config& config) {
    read_environment(config);
    read_unknown_environment(config);
}

void read_env_file(const std::filesystem::path& file) {
    std::ifstream lines(file);
    if (!lines) throw ConfigError(file.string() + ": cannot be read");
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        const std::size_t equals = line.find('=');
        if (equals == 0 || equals == std::string::npos) {
            throw ConfigError(file.string() + ":" + std::to_string(number) +
                              ": expected NAME=value");
        }
        std::string value = line.substr(equals + 1);
        const bool is_quoted = value.size() > 1 && value.front() == value.back() &&
                               (value.front() == '"' || value.front() == '\'');
        if (is_quoted) value = value.substr(1, value.size() - 2);
        ::setenv(line.substr(0, equals).c_str(), value.c_str(), 0);
    }
}

}  // namespace homeward::consumer
