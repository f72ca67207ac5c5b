#include "consumer/stream.hpp"

#include <array>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "consumer/column_value.hpp"
#include "schemas/publisher_id.hpp"

namespace homeward::consumer {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kApiPatience = 5s;
/// A retry within this time is not even stored again. Nothing depends on it.
constexpr std::int64_t kDuplicateWindowNs = 120'000'000'000;

constexpr int kNotEnabled = 10076;
constexpr int kNotEnabledForAccount = 10039;
constexpr int kStreamNotFound = 10059;
constexpr int kConsumerNotFound = 10014;

json call(NatsConnection& nats, const Stream& stream, const std::string& method,
          const json& body = json::object(), std::chrono::milliseconds patience = kApiPatience) {
    const std::string subject = stream.api() + method;
    const auto answer = nats.request(subject, body.empty() ? "" : body.dump(), patience);
    if (!answer) {
        throw NatsError("no answer from JetStream for " + stream.name +
                        (stream.domain.empty()
                             ? std::string(": is JetStream enabled on the server (jetstream {} in "
                                           "its configuration), and may this user use " +
                                           subject + "?")
                             : ": is the leaf node of domain \"" + stream.domain +
                                   "\" connected, and may this user use " + subject + "?"));
    }
    const json parsed = json::parse(*answer, nullptr, false);
    if (!parsed.is_object()) throw NatsError(stream.name + ": the answer is not JetStream's");
    return parsed;
}

int error_code(const json& answer) {
    return answer.contains("error") ? answer["error"].value("err_code", -1) : 0;
}

void refuse_error(const json& answer, const Stream& stream, const std::string& what) {
    if (!answer.contains("error")) return;
    const int code = error_code(answer);
    const bool disabled = code == kNotEnabled || code == kNotEnabledForAccount;
    throw NatsError(
        stream.name + ": cannot " + what + ": " +
        answer["error"].value("description", "unknown error") +
        (disabled ? "; add jetstream {} to the configuration of that nats-server" : ""));
}

/// nullopt when JetStream does not answer there.
std::optional<json> try_call(NatsConnection& nats, const std::string& domain,
                             const std::string& method, const json& body = json::object()) {
    Stream anywhere;
    anywhere.domain = domain;
    try {
        json answer = call(nats, anywhere, method, body);
        if (error_code(answer) == 0) return answer;
    } catch (const NatsError&) {
        // Away, or not for us: there is nothing to see.
    }
    return std::nullopt;
}

std::set<std::string> stream_names(NatsConnection& nats, const std::string& domain) {
    std::set<std::string> names;
    for (;;) {
        const auto page = try_call(nats, domain, "STREAM.NAMES", {{"offset", names.size()}});
        const std::size_t before = names.size();
        if (page && page->value("streams", json()).is_array()) {
            for (const json& name : page->at("streams")) names.insert(name.get<std::string>());
        }
        if (names.size() == before) return names;
    }
}

std::int64_t history_ns(const Config& config) {
    return static_cast<std::int64_t>(config.streams.history_hours) * 3'600'000'000'000;
}

json stream_wanted(const Stream& stream, const Config& config) {
    return {{"name", stream.name},
            {"subjects", {stream_subjects(stream.kind, stream.region)}},
            {"retention", history_ns(config) > 0 ? "limits" : "workqueue"},
            {"max_age", history_ns(config)},
            {"storage", "file"},
            // A full leaf refuses, and the publisher keeps the event.
            {"discard", "new"},
            {"duplicate_window", kDuplicateWindowNs},
            {"num_replicas", 1}};
}

/// Of every durable, whatever it begins with.
json durable_basics(const Stream& stream, const Config& config) {
    return {{"durable_name", stream.durable},
            {"ack_policy", "explicit"},
            {"max_deliver", -1},
            {"ack_wait", static_cast<std::int64_t>(config.pull.ack_wait_ms) * 1'000'000},
            // Several consumers share it, each with its own bound on what it fetches.
            {"max_ack_pending", static_cast<std::int64_t>(config.pull.messages_max) * 16}};
}

void create_durable(NatsConnection& nats, const Stream& stream, json settings) {
    const json body{{"stream_name", stream.name}, {"config", std::move(settings)}};
    refuse_error(
        call(nats, stream, "CONSUMER.DURABLE.CREATE." + stream.name + "." + stream.durable, body),
        stream, "create the durable");
}

std::string rfc3339(std::int64_t time_us) {
    const std::time_t seconds = time_us / 1'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

enum class Mode { plan, apply };

/// What differs in how long the stream keeps what is committed.
void settle_history(NatsConnection& nats, const Stream& stream, const json& found,
                    const Config& config, Mode mode, std::vector<std::string>& lines) {
    json settings = found.at("config");
    const bool keeps = settings.value("retention", "") == "limits";
    if (keeps != (history_ns(config) > 0)) {
        lines.push_back("stream " + stream.name +
                        (keeps ? " keeps a history" : " keeps no history") +
                        ", other than streams.history_hours says; JetStream cannot change that: "
                        "drain the stream, delete it and apply again");
    } else if (keeps && settings.value("max_age", std::int64_t{0}) != history_ns(config)) {
        lines.push_back("keep the history of stream " + stream.name + " for " +
                        std::to_string(config.streams.history_hours) + " hours");
        if (mode == Mode::plan) return;
        settings["max_age"] = history_ns(config);
        refuse_error(call(nats, stream, "STREAM.UPDATE." + stream.name, settings), stream,
                     "update the stream");
    }
}

std::vector<std::string> settle(NatsConnection& nats, const Config& config, Mode mode) {
    std::vector<std::string> lines;
    for (const Stream& stream : streams_of(config)) {
        const json found = call(nats, stream, "STREAM.INFO." + stream.name);
        const bool missing = error_code(found) == kStreamNotFound;
        if (!missing) {
            refuse_error(found, stream, "read the stream");
            settle_history(nats, stream, found, config, mode, lines);
        }
        if (missing) {
            lines.push_back("create stream " + stream.name + " on " +
                            stream_subjects(stream.kind, stream.region));
            if (mode == Mode::apply) {
                refuse_error(call(nats, stream, "STREAM.CREATE." + stream.name,
                                  stream_wanted(stream, config)),
                             stream, "create the stream");
            }
        }
        if (missing && mode == Mode::plan) {
            lines.push_back("create durable " + stream.durable + " on " + stream.name);
            continue;
        }
        const json durable =
            call(nats, stream, "CONSUMER.INFO." + stream.name + "." + stream.durable);
        if (error_code(durable) != kConsumerNotFound) {
            refuse_error(durable, stream, "read the durable");
            continue;
        }
        lines.push_back("create durable " + stream.durable + " on " + stream.name);
        if (mode == Mode::apply) {
            json settings = durable_basics(stream, config);
            settings["deliver_policy"] = "all";
            create_durable(nats, stream, std::move(settings));
        }
    }
    return lines;
}

}  // namespace

std::string Stream::api() const {
    return domain.empty() ? "$JS.API." : "$JS." + domain + ".API.";
}

std::vector<Stream> streams_of(const Config& config) {
    std::vector<Stream> streams;
    for (const Source& source : config.sources) {
        for (StreamKind kind : source.kinds) {
            streams.push_back({kind, source.region, source.domain, stream_name(kind, source.region),
                               durable_name(kind, source.region)});
        }
    }
    return streams;
}

std::optional<StreamState> read_state(NatsConnection& nats, const Stream& stream,
                                      std::chrono::milliseconds patience) {
    const json info = call(nats, stream, "STREAM.INFO." + stream.name, json::object(), patience);
    if (error_code(info) == kStreamNotFound) return std::nullopt;
    refuse_error(info, stream, "read the stream");
    const json durable = call(nats, stream, "CONSUMER.INFO." + stream.name + "." + stream.durable,
                              json::object(), patience);
    if (error_code(durable) == kConsumerNotFound) return std::nullopt;
    refuse_error(durable, stream, "read the durable");
    StreamState state;
    state.created_us = parse_rfc3339(info.value("created", "")).value_or(0);
    state.first_us = parse_rfc3339(info.at("state").value("first_ts", "")).value_or(0);
    state.keeps_history = info.at("config").value("retention", "") == "limits";
    state.messages = info.at("state").value("messages", std::uint64_t{0});
    state.bytes = info.at("state").value("bytes", std::uint64_t{0});
    const auto bytes_max = info.at("config").value("max_bytes", std::int64_t{-1});
    state.bytes_max = static_cast<std::uint64_t>(std::max<std::int64_t>(bytes_max, 0));
    state.ack_wait_ms =
        durable.at("config").value("ack_wait", std::int64_t{30'000'000'000}) / 1'000'000;
    state.ack_pending = durable.value("num_ack_pending", std::uint64_t{0});
    state.unprocessed = durable.value("num_pending", std::uint64_t{0});
    return state;
}

Stream open_history(NatsConnection& nats, const Stream& stream, std::int64_t since_us,
                    const Config& config) {
    constexpr std::int64_t kUnusedMaxNs = 60'000'000'000;
    Stream history = stream;
    history.durable = "HOMEWARD_REPLAY_" + PublisherId::random().hex().substr(0, 12);
    json settings = durable_basics(history, config);
    settings["deliver_policy"] = "by_start_time";
    settings["opt_start_time"] = rfc3339(since_us);
    settings["inactive_threshold"] = kUnusedMaxNs;
    create_durable(nats, history, std::move(settings));
    return history;
}

std::vector<std::string> find_twins(NatsConnection& nats, const std::vector<Stream>& streams) {
    const auto own_info = try_call(nats, "", "INFO");
    const std::string own_domain = own_info ? own_info->value("domain", "") : "";
    const auto domain_of = [&](const Stream& stream) {
        return stream.domain.empty() ? own_domain : stream.domain;
    };
    std::map<std::string, std::set<std::string>> names{{own_domain, stream_names(nats, "")}};
    for (const Stream& stream : streams) {
        const std::string domain = domain_of(stream);
        if (names.count(domain) == 0) names[domain] = stream_names(nats, domain);
    }
    std::vector<std::string> lines;
    for (const Stream& stream : streams) {
        for (const auto& [domain, there] : names) {
            if (domain == domain_of(stream) || there.count(stream.name) == 0) continue;
            lines.push_back("stream " + stream.name + " of domain \"" + domain_of(stream) +
                            "\" is also in domain \"" + domain +
                            "\": an acknowledgement for one would delete messages of the other; "
                            "delete the one that no app publishes to, when it is empty");
        }
    }
    return lines;
}

std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::plan);
}

std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::apply);
}

}  // namespace homeward::consumer
