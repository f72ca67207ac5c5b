#include "consumer/base/config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <unistd.h>

#include "schemas/text/nearest_name.hpp"

namespace homeward::consumer {
namespace {

/// One scalar key: how to read it from text, with its bounds.
using Setter = std::function<void(const std::string& text)>;

struct BadValue {
    std::string expected;
};

Setter text_setter(std::string& target) {
    return [&target](const std::string& text) { target = text; };
}

Setter count_setter(std::size_t& target, std::size_t min, std::size_t max) {
    return [&target, min, max](const std::string& text) {
        std::size_t value = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
        if (result.ec != std::errc{} || result.ptr != text.data() + text.size() || value < min ||
            value > max) {
            throw BadValue{"a whole number from " + std::to_string(min) + " to " +
                           std::to_string(max)};
        }
        target = value;
    };
}

Setter bool_setter(bool& target) {
    return [&target](const std::string& text) {
        if (text != "true" && text != "false") throw BadValue{"true or false"};
        target = text == "true";
    };
}

Setter list_setter(std::vector<std::string>& target, bool may_be_empty = false) {
    return [&target, may_be_empty](const std::string& text) {
        target.clear();
        std::istringstream stream(text);
        for (std::string part; std::getline(stream, part, ',');) {
            if (!part.empty()) target.push_back(part);
        }
        if (target.empty() && !may_be_empty) throw BadValue{"at least one, separated by commas"};
    };
}

Setter choice_setter(std::string& target, std::set<std::string> choices) {
    return [&target, choices = std::move(choices)](const std::string& text) {
        if (choices.count(text) == 0) {
            std::string expected = "one of";
            for (const auto& choice : choices) expected += " " + choice;
            throw BadValue{expected};
        }
        target = text;
    };
}

/// Every scalar key there is, by "section.key".
std::map<std::string, Setter> setters(Config& c) {
    return {
        {"nats.urls", list_setter(c.nats.urls)},
        {"nats.credentials_file", text_setter(c.nats.credentials_file)},
        {"nats.nkey_file", text_setter(c.nats.nkey_file)},
        {"nats.tls_ca_file", text_setter(c.nats.tls_ca_file)},
        {"nats.tls_cert_file", text_setter(c.nats.tls_cert_file)},
        {"nats.tls_key_file", text_setter(c.nats.tls_key_file)},
        {"postgres.url", text_setter(c.postgres.url)},
        {"postgres.owner_url", text_setter(c.postgres.owner_url)},
        {"postgres.upkeep_url", text_setter(c.postgres.upkeep_url)},
        {"postgres.event_schema", text_setter(c.postgres.event_schema)},
        {"postgres.ack_after", choice_setter(c.postgres.ack_after, {"commit", "replicated"})},
        {"postgres.lock_timeout_ms", count_setter(c.postgres.lock_timeout_ms, 100, 600'000)},
        {"postgres.statement_timeout_ms",
         count_setter(c.postgres.statement_timeout_ms, 1'000, 3'600'000)},
        {"batch.rows_max", count_setter(c.batch.rows_max, 1, 1'000'000)},
        {"batch.bytes_max", count_setter(c.batch.bytes_max, 1u << 16, 256u << 20)},
        {"batch.delay_ms", count_setter(c.batch.delay_ms, 0, 10'000)},
        {"batch.adaptive_delay", bool_setter(c.batch.adaptive_delay)},
        {"batch.writers", count_setter(c.batch.writers, 1, 64)},
        {"batch.bad_events_max", count_setter(c.batch.bad_events_max, 1, 1'000'000)},
        {"streams.audit_bytes_max", count_setter(c.streams.audit_bytes_max, 0, 1ull << 50)},
        {"streams.metric_bytes_max", count_setter(c.streams.metric_bytes_max, 0, 1ull << 50)},
        {"streams.plain_bytes_max", count_setter(c.streams.plain_bytes_max, 0, 1ull << 50)},
        {"streams.app_messages_max", count_setter(c.streams.app_messages_max, 0, 1ull << 40)},
        {"pull.messages_max", count_setter(c.pull.messages_max, 1, 65'536)},
        {"pull.bytes_max", count_setter(c.pull.bytes_max, 2u << 20, 1u << 30)},
        {"pull.ack_wait_ms", count_setter(c.pull.ack_wait_ms, 1'000, 3'600'000)},
        {"streams.history_hours", count_setter(c.streams.history_hours, 0, 8'760)},
        {"schema.automatic", bool_setter(c.schema.automatic)},
        {"schema.types_dir", text_setter(c.schema.types_dir)},
        {"schema.partitions_ahead_days", count_setter(c.schema.partitions_ahead_days, 1, 366)},
        {"schema.past_max_days", count_setter(c.schema.past_max_days, 1, 36'500)},
        {"ledger.fold_interval_ms", count_setter(c.ledger.fold_interval_ms, 100, 3'600'000)},
        {"ledger.forget_days", count_setter(c.ledger.forget_days, 1, 36'500)},
        {"ledger.ranges_max", count_setter(c.ledger.ranges_max, 100, 1'000'000)},
        {"ledger.new_origins_max", count_setter(c.ledger.new_origins_max, 1, 1'000'000'000)},
        {"dead_letters.letters_max", count_setter(c.dead_letters.letters_max, 1, 1'000'000'000)},
        {"dead_letters.source_letters_max",
         count_setter(c.dead_letters.source_letters_max, 0, 1'000'000'000)},
        {"dead_letters.bytes_max", count_setter(c.dead_letters.bytes_max, 1u << 10, 1ull << 40)},
        {"admin.listen", text_setter(c.admin.listen)},
        {"admin.hosts", list_setter(c.admin.hosts, true)},
        {"admin.token", text_setter(c.admin.token)},
        {"admin.tls_cert_file", text_setter(c.admin.tls_cert_file)},
        {"admin.tls_key_file", text_setter(c.admin.tls_key_file)},
        {"log.level", choice_setter(c.log.level, {"debug", "info", "warn", "error"})},
        {"log.format", choice_setter(c.log.format, {"text", "json"})},
    };
}

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

void set(const Setter& setter, const std::string& text, const std::string& where,
         const std::string& key) {
    try {
        setter(text);
    } catch (const BadValue& bad) {
        throw ConfigError(where + ": " + key + " is \"" + text + "\"; expected " + bad.expected);
    }
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

std::size_t parse_replicas(const std::string& text, const std::string& where) {
    std::size_t replicas = 1;
    set(count_setter(replicas, 1, 5), text, where, "replicas");
    return replicas;
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
            const std::string path = name + "." + std::string(key.str());
            const auto setter = known.find(path);
            if (setter == known.end()) {
                const auto near = nearest(path, keys_of(known));
                throw ConfigError(place(value, file) + ": unknown key \"" + path + "\"; " +
                                  (near ? "did you mean \"" + *near + "\"?"
                                        : "see deploy/homeward-consumer.toml for all there are"));
            }
            set(setter->second, as_text(value, place(value, file)), place(value, file), path);
        }
    }
}

std::string environment_name(const std::string& path) {
    std::string name = "HOMEWARD_" + path;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return c == '.' ? '_' : static_cast<char>(std::toupper(c));
    });
    return name;
}

void read_environment(Config& config) {
    for (const auto& [path, setter] : setters(config)) {
        const std::string name = environment_name(path);
        if (const char* value = std::getenv(name.c_str())) {
            set(setter, value, "environment variable " + name, path);
        }
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
    read_environment(config);
    read_unknown_environment(config);
    if (config.nats.urls == urls_before && std::getenv("HOMEWARD_NATS_URL") != nullptr) {
        config.warnings.push_back(
            "environment variable HOMEWARD_NATS_URL is for publishers; the consumer reads "
            "HOMEWARD_NATS_URLS, and uses the default " +
            urls_before.front());
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

std::string redact(const std::string& url) {
    static const std::regex kUrl("(://[^:/@]*:)[^/\\s]*@");
    static const std::regex kToken("((?:nats|tls|wss?)://)[^:/@\\s]+@");  // no user, only a secret
    static const std::regex kKeyword("(password\\s*=\\s*)('(?:[^'\\\\]|\\\\.)*'|[^\\s&]+)");
    const std::string without_password = std::regex_replace(url, kUrl, "$1***@");
    const std::string without_token = std::regex_replace(without_password, kToken, "$1***@");
    return std::regex_replace(without_token, kKeyword, "$1***");
}

}  // namespace homeward::consumer
