#include "consumer/nats/stream.hpp"

#include <array>
#include <ctime>
#include <map>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "schemas/nats/jetstream_reply.hpp"
#include "schemas/text/rfc3339.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward::consumer {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto kApiPatience = 5s;
/// A retry within this time is not even stored again. Nothing depends on it.
constexpr std::int64_t kDuplicateWindowNs = 120'000'000'000;

/// Messages that are given back and wait to come again: some 10 MB of the server's memory.
constexpr std::int64_t kHeldMessagesMax = 100'000;

constexpr int kNotEnabled = 10076;
constexpr int kNotEnabledForAccount = 10039;
constexpr int kStreamNotFound = 10059;
constexpr int kConsumerNotFound = 10014;

std::string call(NatsConnection& nats, const Stream& stream, const std::string& method,
                 const json& body = json::object(),
                 std::chrono::milliseconds patience = kApiPatience) {
    const std::string subject = stream.api() + method;
    auto answer = nats.request(stream.domain, subject, body.empty() ? "" : body.dump(), patience);
    if (!answer) {
        throw NatsError("no answer from JetStream for " + stream.name +
                        (stream.domain.empty()
                             ? std::string(": is JetStream enabled on the server (jetstream {} in "
                                           "its configuration), and may this user use " +
                                           subject + "?")
                             : ": is the leaf node of domain \"" + stream.domain +
                                   "\" connected, and may this user use " + subject + "?"));
    }
    return std::move(*answer);
}

/// A reply of another shape than JetStream's, as whoever owns a leaf may give, is an error like any
/// other.
template <typename T>
const JetStreamReply<T>& understood(const JetStreamReply<T>& reply, const Stream& stream) {
    if (reply.value || reply.error) return reply;
    throw NatsError(stream.name + ": the answer is not JetStream's: " + reply.malformed);
}

template <typename T>
int error_code(const JetStreamReply<T>& reply) {
    return reply.error ? reply.error->err_code : 0;
}

template <typename T>
void refuse_error(const JetStreamReply<T>& reply, const Stream& stream, const std::string& what) {
    if (!reply.error) return;
    const int code = error_code(reply);
    const bool disabled = code == kNotEnabled || code == kNotEnabledForAccount;
    throw NatsError(
        stream.name + ": cannot " + what + ": " + reply.error->description +
        (disabled ? "; add jetstream {} to the configuration of that nats-server" : ""));
}

JetStreamReply<StreamInfo> stream_info(NatsConnection& nats, const Stream& stream,
                                       std::chrono::milliseconds patience = kApiPatience) {
    const std::string method = "STREAM.INFO." + stream.name;
    return understood(parse_stream_info(call(nats, stream, method, json::object(), patience)),
                      stream);
}

JetStreamReply<ConsumerInfo> durable_info(NatsConnection& nats, const Stream& stream,
                                          std::chrono::milliseconds patience = kApiPatience) {
    const std::string method = "CONSUMER.INFO." + stream.name + "." + stream.durable;
    return understood(parse_consumer_info(call(nats, stream, method, json::object(), patience)),
                      stream);
}

/// nullopt when JetStream does not answer there.
template <typename T>
std::optional<T> try_call(NatsConnection& nats, const std::string& domain,
                          const std::string& method, const json& body,
                          JetStreamReply<T> (*parse)(std::string_view) noexcept) {
    Stream anywhere;
    anywhere.domain = domain;
    try {
        return parse(call(nats, anywhere, method, body)).value;
    } catch (const NatsError&) {
        return std::nullopt;  // away, or not for us: there is nothing to see
    }
}

std::set<std::string> stream_names(NatsConnection& nats, const std::string& domain) {
    constexpr std::size_t kNamesMax = 100'000;  // whoever owns a leaf may go on for ever
    std::set<std::string> names;
    for (;;) {
        const auto page =
            try_call(nats, domain, "STREAM.NAMES", {{"offset", names.size()}}, &parse_stream_names);
        const std::size_t before = names.size();
        if (page) names.insert(page->names.begin(), page->names.end());
        if (names.size() == before || names.size() > kNamesMax) return names;
    }
}

std::int64_t history_ns(const Config& config) {
    return static_cast<std::int64_t>(config.streams.history_hours) * 3'600'000'000'000;
}

json stream_wanted(const Stream& stream, const Config& config) {
    const std::size_t app_messages_max = config.streams.app_messages_max;
    return {
        {"name", stream.name},
        {"subjects", {stream_subjects(stream.kind, stream.region)}},
        {"retention", history_ns(config) > 0 ? "limits" : "workqueue"},
        {"max_age", history_ns(config)},
        {"storage", "file"},
        // A full leaf refuses, and the publisher keeps the event.
        {"discard", "new"},
        {"duplicate_window", kDuplicateWindowNs},
        // JetStream takes whatever reaches its API for a request. A PubAck reads as one to purge,
        // and its reply subject is the publisher's choice: only the stream itself can refuse.
        {"deny_delete", true},
        {"deny_purge", true},
        // One subject is one app's.
        {"max_msgs_per_subject",
         app_messages_max == 0 ? -1 : static_cast<std::int64_t>(app_messages_max)},
        {"discard_new_per_subject", app_messages_max > 0},
        {"max_bytes", stream.bytes_max == 0 ? -1 : static_cast<std::int64_t>(stream.bytes_max)},
        {"num_replicas", stream.replicas}};
}

/// Of every durable, whatever it begins with.
json durable_basics(const Stream& stream, const Config& config) {
    return {{"durable_name", stream.durable},
            {"ack_policy", "explicit"},
            {"max_deliver", -1},
            {"ack_wait", static_cast<std::int64_t>(config.pull.ack_wait_ms) * 1'000'000},
            // Two consumers may have fetched all that they hold at most; more than two share it.
            // What is held besides must not keep them from fetching.
            {"max_ack_pending",
             static_cast<std::int64_t>(config.pull.messages_max) * 2 + kHeldMessagesMax}};
}

void create_durable(NatsConnection& nats, const Stream& stream, json settings) {
    const json body{{"stream_name", stream.name}, {"config", std::move(settings)}};
    const std::string method = "CONSUMER.DURABLE.CREATE." + stream.name + "." + stream.durable;
    refuse_error(understood(parse_consumer_info(call(nats, stream, method, body)), stream), stream,
                 "create or update the durable");
}

std::string rfc3339(std::int64_t time_us) {
    const std::time_t seconds = time_us / 1'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

std::uint64_t max_ack_pending_in(const json& settings) {
    const auto found = settings.find("max_ack_pending");
    const bool is_number = found != settings.end() && found->is_number_integer();
    return is_number
               ? static_cast<std::uint64_t>(std::max<std::int64_t>(found->get<std::int64_t>(), 0))
               : 0;
}

StreamState state_of(const StreamInfo& info, const ConsumerInfo& durable) {
    StreamState state;
    state.created_us = parse_rfc3339(info.created).value_or(0);
    state.first_seq = info.first_seq;
    state.first_us = parse_rfc3339(info.first_ts).value_or(0);
    state.keeps_history = info.retention == "limits";
    state.messages = info.messages;
    state.bytes = info.bytes;
    state.bytes_max = static_cast<std::uint64_t>(std::max<std::int64_t>(info.max_bytes, 0));
    state.ack_wait_ms = durable.ack_wait_ns / 1'000'000;
    state.ack_floor = durable.ack_floor;
    state.ack_pending = durable.ack_pending;
    state.unprocessed = durable.pending;
    const json settings = json::parse(durable.config, nullptr, false);
    const auto max_deliver = settings.find("max_deliver");
    if (max_deliver != settings.end() && max_deliver->is_number_integer()) {
        state.max_deliver = max_deliver->get<std::int64_t>();
    }
    if (state.max_deliver == 0) state.max_deliver = -1;
    state.max_ack_pending = max_ack_pending_in(settings);
    return state;
}

/// As it is on the server. Throws NatsError.
ConsumerInfo read_durable(NatsConnection& nats, const Stream& stream) {
    const auto durable = durable_info(nats, stream);
    refuse_error(durable, stream, "read the durable");
    return *durable.value;
}

/// Of a reply that was parsed already: an object, or there is none.
json config_in(const std::string& text) {
    return json::parse(text, nullptr, false);
}

/// "" when there is none, or something else.
std::string text_of(const json& settings, const char* key) {
    const auto found = settings.find(key);
    return found != settings.end() && found->is_string() ? found->get<std::string>() : "";
}

enum class Mode { plan, apply };

/// A change of these is one of a running stream or durable; anything else would be another one.
bool may_change(const std::string& key) {
    static const std::set<std::string> kChangeable{"subjects",         "discard",
                                                   "max_bytes",        "num_replicas",
                                                   "deny_delete",      "deny_purge",
                                                   "ack_wait",         "max_ack_pending",
                                                   "max_deliver",      "max_msgs_per_subject",
                                                   "duplicate_window", "discard_new_per_subject"};
    return kChangeable.count(key) == 1;
}

/// " num_replicas 1 -> 3, max_bytes -1 -> 1000"; empty when `found` has all that is wanted. What
/// else was set by hand is left alone.
std::string differences(const json& found, const json& wanted, const std::string& what) {
    std::string text;
    for (const auto& [key, value] : wanted.items()) {
        const json now = found.contains(key) ? found[key] : json();
        // What is false, nats-server may leave out.
        if (now == value || (now.is_null() && value == false)) continue;
        const std::string change = key + " " + now.dump() + " -> " + value.dump();
        if (!may_change(key)) {
            throw NatsError(what + " has another " + change +
                            ", which cannot be changed; is the configuration right, and was it "
                            "changed by hand? RUNBOOK, streams cannot be purged, has the way to a "
                            "new one");
        }
        text += (text.empty() ? " " : ", ") + change;
    }
    return text;
}

/// Brings one stream or durable to what is wanted, or says what that would take.
class Settler {
  public:
    Settler(NatsConnection& nats, const Config& config, Mode mode)
        : nats_(nats), config_(config), mode_(mode) {}

    /// True if the stream is there, or would be.
    bool settle_stream(const Stream& stream) {
        json wanted = stream_wanted(stream, config_);
        const auto found = stream_info(nats_, stream);
        if (error_code(found) == kStreamNotFound) {
            lines_.push_back("create stream " + stream.name + " on " +
                             stream_subjects(stream.kind, stream.region));
            order(stream, "STREAM.CREATE." + stream.name, wanted, "create the stream");
            return mode_ == Mode::apply;
        }
        refuse_error(found, stream, "read the stream");
        json merged = config_in(found.value->config);
        const std::size_t lines_before = lines_.size();
        settle_history(stream, merged);
        for (const char* key : {"retention", "max_age"}) wanted.erase(key);
        const std::string change = differences(merged, wanted, "stream " + stream.name);
        if (!change.empty()) lines_.push_back("change stream " + stream.name + ":" + change);
        merged.update(wanted);
        if (lines_.size() > lines_before) {
            order(stream, "STREAM.UPDATE." + stream.name, merged, "change the stream");
        }
        return true;
    }

    void settle_durable(const Stream& stream, bool has_stream) {
        json wanted = durable_basics(stream, config_);
        wanted["deliver_policy"] = "all";
        const std::string name = stream.name + "." + stream.durable;
        JetStreamReply<ConsumerInfo> found;
        if (has_stream) found = durable_info(nats_, stream);
        json body{{"stream_name", stream.name}, {"config", wanted}};
        if (!has_stream || error_code(found) == kConsumerNotFound) {
            lines_.push_back("create durable " + stream.durable + " on " + stream.name);
        } else {
            refuse_error(found, stream, "read the durable");
            const json settings = config_in(found.value->config);
            // StreamRepair may have raised it for what is held.
            const std::uint64_t pending = max_ack_pending_in(settings);
            if (pending > wanted["max_ack_pending"].get<std::uint64_t>())
                wanted["max_ack_pending"] = pending;
            const std::string change = differences(settings, wanted, "durable " + stream.durable);
            if (change.empty()) return;
            lines_.push_back("change durable " + stream.durable + ":" + change);
            body["config"] = settings;
            body["config"].update(wanted);
        }
        order(stream, "CONSUMER.DURABLE.CREATE." + name, body, "create or change the durable");
    }

    std::vector<std::string> lines() && { return std::move(lines_); }

  private:
    /// How long the stream keeps what is committed, as far as that can be changed.
    void settle_history(const Stream& stream, json& settings) {
        const bool keeps = text_of(settings, "retention") == "limits";
        if (keeps != (history_ns(config_) > 0)) {
            lines_.push_back("stream " + stream.name +
                             (keeps ? " keeps a history" : " keeps no history") +
                             ", other than streams.history_hours says: is that setting what you "
                             "mean? JetStream cannot change it in a stream that is there; "
                             "RUNBOOK, streams cannot be purged, has the way to a new one");
        } else if (keeps && settings["max_age"] != history_ns(config_)) {
            lines_.push_back("keep the history of stream " + stream.name + " for " +
                             std::to_string(config_.streams.history_hours) + " hours");
            settings["max_age"] = history_ns(config_);
        }
    }

    void order(const Stream& stream, const std::string& method, const json& body,
               const std::string& what) {
        if (mode_ != Mode::apply) return;
        const std::string answer = call(nats_, stream, method, body);
        if (method.rfind("STREAM.", 0) == 0) {
            refuse_error(understood(parse_stream_info(answer), stream), stream, what);
        } else {
            refuse_error(understood(parse_consumer_info(answer), stream), stream, what);
        }
    }

    NatsConnection& nats_;
    const Config& config_;
    Mode mode_;
    std::vector<std::string> lines_;
};

std::vector<std::string> settle(NatsConnection& nats, const Config& config, Mode mode,
                                const std::vector<Stream>& streams) {
    Settler settler(nats, config, mode);
    for (const Stream& stream : streams) {
        const bool has_stream = settler.settle_stream(stream);
        settler.settle_durable(stream, has_stream);
    }
    return std::move(settler).lines();
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
                               durable_name(kind, source.region), source.replicas,
                               config.streams.bytes_max(kind)});
        }
    }
    return streams;
}

std::optional<StreamState> read_state(NatsConnection& nats, const Stream& stream,
                                      std::chrono::milliseconds patience) {
    const auto info = stream_info(nats, stream, patience);
    if (error_code(info) == kStreamNotFound) return std::nullopt;
    refuse_error(info, stream, "read the stream");
    const auto durable = durable_info(nats, stream, patience);
    if (error_code(durable) == kConsumerNotFound) return std::nullopt;
    refuse_error(durable, stream, "read the durable");
    StreamState state = state_of(*info.value, *durable.value);
    if (state.undeliverable() == 0) return state;
    // Or what was acknowledged since the first question. After a second look at the stream, only
    // messages that came between the two can be too many, and they are in no later look.
    const auto later = stream_info(nats, stream, patience);
    if (later.value) state.messages = std::min(state.messages, later.value->messages);
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
    const auto own_info = try_call(nats, "", "INFO", json::object(), &parse_account);
    const std::string own_domain = own_info ? own_info->domain : "";
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
                            "\": an acknowledgement for one would delete messages of the other. "
                            "Is the domain of region " +
                            stream.region +
                            " right in [[source]]? "
                            "If it is, RUNBOOK, one stream in two domains");
        }
    }
    return lines;
}

std::string read_description(NatsConnection& nats, const Stream& stream) {
    return read_durable(nats, stream).description;
}

void write_description(NatsConnection& nats, const Stream& stream, const std::string& text) {
    json settings = config_in(read_durable(nats, stream).config);
    settings["description"] = text;
    create_durable(nats, stream, std::move(settings));
}

void write_max_ack_pending(NatsConnection& nats, const Stream& stream, std::uint64_t messages) {
    json settings = config_in(read_durable(nats, stream).config);
    settings["max_ack_pending"] = messages;
    create_durable(nats, stream, std::move(settings));
}

void write_ack_wait(NatsConnection& nats, const Stream& stream,
                    std::chrono::milliseconds ack_wait) {
    json settings = config_in(read_durable(nats, stream).config);
    settings["ack_wait"] = std::chrono::nanoseconds(ack_wait).count();
    create_durable(nats, stream, std::move(settings));
}

std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::plan, streams_of(config));
}

std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config) {
    return settle(nats, config, Mode::apply, streams_of(config));
}

std::vector<std::string> apply_stream(NatsConnection& nats, const Config& config,
                                      const Stream& stream) {
    return settle(nats, config, Mode::apply, {stream});
}

}  // namespace homeward::consumer
