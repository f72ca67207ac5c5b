#include "consumer/base/config.hpp"

#include <cstdlib>
#include <regex>
#include <set>

#include "consumer/base/config_environment.hpp"
#include "consumer/base/config_file.hpp"

namespace homeward::consumer {
namespace {

void check(const Config& config) {
    std::set<std::string> regions;
    for (const Source& source : config.sources) {
        // An ack subject names no domain: with equal names an ack would delete another's message.
        if (!regions.insert(source.region).second) {
            throw ConfigError("region \"" + source.region +
                              "\" stands in two [[source]] blocks: stream names must differ "
                              "between domains, so each region may stand only once");
        }
    }
    // It becomes a token of a subject: $JS.<domain>.API.…
    static const std::regex kDomain("[A-Za-z0-9_-]*");
    for (const Source& source : config.sources) {
        if (std::regex_match(source.domain, kDomain)) continue;
        throw ConfigError("the domain of region \"" + source.region + "\" is \"" + source.domain +
                          "\"; expected letters, digits, _ and -, as in the server's "
                          "jetstream { domain: … }");
    }
    if (config.streams.app_messages_max > 0 && config.streams.history_hours > 0) {
        throw ConfigError(
            "streams.app_messages_max and streams.history_hours are both set: what is committed "
            "would count against the app until its history ends; set one of them to 0");
    }
    static const std::regex kSource("[a-z0-9][a-z0-9_-]{0,31}/[a-z0-9][a-z0-9_-]{0,31}");
    for (const std::string& source : config.dead_letters.newer_frames_of) {
        if (std::regex_match(source, kSource)) continue;
        throw ConfigError("dead_letters.newer_frames_of has \"" + source +
                          "\"; expected region/app, such as \"ams/shop\"");
    }
    static const std::regex kSchemaName("[a-z_][a-z0-9_]{0,62}");
    if (!std::regex_match(config.postgres.event_schema, kSchemaName)) {
        throw ConfigError("postgres.event_schema is \"" + config.postgres.event_schema +
                          "\"; expected lower-case letters, digits and _");
    }
}

}  // namespace

Config load_config(const std::filesystem::path& file) {
    Config config;
    if (!file.empty()) read_file(config, file);
    const std::vector<std::string> urls_before = Config().nats.urls;
    apply_environment(config);
    if (config.nats.urls == urls_before && std::getenv("HOMEWARD_NATS_URL") != nullptr) {
        config.warnings.push_back(
            "environment variable HOMEWARD_NATS_URL is for publishers; the consumer reads "
            "HOMEWARD_NATS_URLS, and uses the default " +
            urls_before.front());
    }
    for (const std::string& source : config.dead_letters.newer_frames_of) {
        config.warnings.push_back("frames of a newer version of " + source +
                                  " become dead letters (dead_letters.newer_frames_of); remove "
                                  "this setting before that app's publishers are upgraded");
    }
    if (config.sources.empty()) {
        throw ConfigError(
            "no region to consume from; add a [[source]] with its region to the "
            "configuration, or set HOMEWARD_SOURCES");
    }
    if (config.postgres.owner_url.empty()) config.postgres.owner_url = config.postgres.url;
    if (config.postgres.upkeep_url.empty()) config.postgres.upkeep_url = config.postgres.url;
    check(config);
    return config;
}

std::string redact(const std::string& url) {
    static const std::regex kUrl("(://[^:/@]*:)(?:[^/\\s]|/(?!/))*@");
    static const std::regex kToken("((?:nats|tls|wss?)://)[^:/@\\s]+@");  // no user, only a secret
    static const std::regex kKeyword("(password\\s*=\\s*)('(?:[^'\\\\]|\\\\.)*'|[^\\s&]+)");
    const std::string without_password = std::regex_replace(url, kUrl, "$1***@");
    const std::string without_token = std::regex_replace(without_password, kToken, "$1***@");
    return std::regex_replace(without_token, kKeyword, "$1***");
}

}  // namespace homeward::consumer
