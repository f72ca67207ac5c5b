#include "consumer/stream.hpp"

#include <nlohmann/json.hpp>

#include "consumer/column_value.hpp"

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
          const json& body = json::object()) {
    const std::string subject = stream.api() + method;
    const auto answer = nats.request(subject, body.empty() ? "" : body.dump(), kApiPatience);
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

json stream_wanted(const Stream& stream) {
    return {{"name", stream.name},
            {"subjects", {stream_subjects(stream.kind, stream.region)}},
            {"retention", "workqueue"},
            {"storage", "file"},
            // A full leaf refuses, and the publisher keeps the event.
            {"discard", "new"},
            {"duplicate_window", kDuplicateWindowNs},
            {"num_replicas", 1}};
}

json durable_wanted(const Stream& stream, const Config& config) {
    return {{"durable_name", stream.durable},
            {"ack_policy", "explicit"},
            {"deliver_policy", "all"},
            {"max_deliver", -1},
            {"ack_wait", static_cast<std::int64_t>(config.pull.ack_wait_ms) * 1'000'000},
            // Several consumers share it, each with its own bound on what it fetches.
            {"max_ack_pending", static_cast<std::int64_t>(config.pull.messages_max) * 16}};
}

enum class Mode { plan, apply };

std::vector<std::string> settle(NatsConnection& nats, const Config& config, Mode mode) {
    std::vector<std::string> lines;
    for (const Stream& stream : streams_of(config)) {
        const json found = call(nats, stream, "STREAM.INFO." + stream.name);
        const bool missing = error_code(found) == kStreamNotFound;
        if (!missing) refuse_error(found, stream, "read the stream");
        if (missing) {
            lines.push_back("create stream " + stream.name + " on " +
                            stream_subjects(stream.kind, stream.region));
            if (mode == Mode::apply) {
                refuse_error(
                    call(nats, stream, "STREAM.CREATE." + stream.name, stream_wanted(stream)),
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
            const json body{{"stream_name", stream.name},
                            {"config", durable_wanted(stream, config)}};
            refuse_error(
                call(nats, stream, "CONSUMER.DURABLE.CREATE." + stream.name + "." + stream.durable,
                     body),
                stream, "create the durable");
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

std::optional<StreamState> read_state(NatsConnection& nats, const Stream& stream) {
    const json info = call(nats, stream, "STREAM.INFO." + stream.name);
    if (error_code(info) == kStreamNotFound) return std::nullopt;
    refuse_error(info, stream, "read the stream");
    const json durable = call(nats, stream, "CONSUMER.INFO." + stream.name + "." + stream.durable);
    if (error_code(durable) == kConsumerNotFound) return std::nullopt;
    refuse_error(durable, stream, "read the durable");
    StreamState state;
    state.created_us = parse_rfc3339(info.value("created", "")).value_or(0);
    state.messages = info.at("state").value("messages", std::uint64_t{0});
    state.bytes = info.at("state").value("bytes", std::uint64_t{0});
    state.ack_wait_ms =
        durable.at("config").value("ack_wait", std::int64_t{30'000'000'000}) / 1'000'000;
    state.ack_pending = durable.value("num_ack_pending", std::uint64_t{0});
    state.unprocessed = durable.value("num_pending", std::uint64_t{0});
    return state;
}

std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::plan);
}

std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::apply);
}

}  // namespace homeward::consumer
