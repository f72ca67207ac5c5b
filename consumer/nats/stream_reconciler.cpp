// Brings streams and durables to what the configuration wants.

#include <algorithm>
#include <array>
#include <ctime>
#include <set>
#include <utility>

#include "consumer/base/printed_commands.hpp"
#include "consumer/nats/jetstream_api.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward::consumer {
namespace {

using namespace jetstream;
using nlohmann::json;

/// A retry within this time is not even stored again. Nothing depends on it.
constexpr std::int64_t kDuplicateWindowNs = 120'000'000'000;

/// Messages that wait for the delay of their NAK to end: some 10 MB of the server's memory.
constexpr std::int64_t kHeldMessagesMax = 100'000;

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

std::string rfc3339(std::int64_t time_us) {
    const std::time_t seconds = time_us / 1'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
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
class StreamReconciler {
  public:
    StreamReconciler(NatsConnection& nats, const Config& config, Mode mode)
        : nats_(nats), config_(config), mode_(mode) {}

    /// True if the stream is there, or would be.
    bool reconcile_stream(const Stream& stream) {
        json wanted = stream_wanted(stream, config_);
        const auto found = stream_info(nats_, stream);
        if (error_code(found) == kStreamNotFound) {
            lines_.push_back("create stream " + stream.name + " on " +
                             stream_subjects(stream.kind, stream.region));
            call_if_applying(stream, "STREAM.CREATE." + stream.name, wanted, "create the stream");
            return mode_ == Mode::apply;
        }
        refuse_error(found, stream, "read the stream");
        json merged = config_in(found.value->config);
        const std::size_t lines_before = lines_.size();
        plan_history(stream, merged);
        for (const char* key : {"retention", "max_age"}) wanted.erase(key);
        keep_limits(stream, *found.value, merged, wanted);
        const std::string change = differences(merged, wanted, "stream " + stream.name);
        if (!change.empty()) lines_.push_back("change stream " + stream.name + ":" + change);
        merged.update(wanted);
        if (lines_.size() > lines_before) {
            call_if_applying(stream, "STREAM.UPDATE." + stream.name, merged, "change the stream");
        }
        return true;
    }

    void reconcile_durable(const Stream& stream, bool has_stream) {
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
        call_if_applying(stream, "CONSUMER.DURABLE.CREATE." + name, body,
                         "create or change the durable");
    }

    std::vector<std::string> lines() && { return std::move(lines_); }

  private:
    /// How long the stream keeps what is committed, as far as that can be changed.
    void plan_history(const Stream& stream, json& settings) {
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

    /// Leaves limits as they are that are to be lowered below twice what the stream holds. Whatever
    /// `discard` says, nats-server deletes the oldest messages that exceed a lower limit, some only
    /// when it is started again; and more may come until it has the new one.
    void keep_limits(const Stream& stream, const StreamInfo& found, const json& settings,
                     json& wanted) {
        const std::pair<const char*, std::uint64_t> held[] = {
            {"max_bytes", found.bytes}, {"max_msgs_per_subject", found.messages}};
        for (const auto& [key, count] : held) {
            const auto limit = wanted[key].get<std::int64_t>();
            const auto setting = settings.find(key);
            const std::int64_t now = setting != settings.end() && setting->is_number_integer()
                                         ? setting->get<std::int64_t>()
                                         : -1;
            const bool is_lowered = limit > 0 && (now <= 0 || limit < now);
            if (!is_lowered || count <= static_cast<std::uint64_t>(limit) / 2) continue;
            lines_.push_back("stream " + stream.name + " keeps " + key + " " + std::to_string(now) +
                             " instead of " + std::to_string(limit) + ": it holds " +
                             std::to_string(count) +
                             ", and nats-server would delete what exceeds the limit; when the "
                             "consumer has drained it, run " +
                             command::kStreamsApply);
            wanted.erase(key);
        }
        if (!wanted.contains("max_msgs_per_subject")) wanted.erase("discard_new_per_subject");
    }

    void call_if_applying(const Stream& stream, const std::string& method, const json& body,
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

std::vector<std::string> reconcile(NatsConnection& nats, const Config& config, Mode mode,
                                   const std::vector<Stream>& streams) {
    StreamReconciler reconciler(nats, config, mode);
    for (const Stream& stream : streams) {
        const bool has_stream = reconciler.reconcile_stream(stream);
        reconciler.reconcile_durable(stream, has_stream);
    }
    return std::move(reconciler).lines();
}

}  // namespace

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

std::vector<std::string> plan_streams(NatsConnection& nats, const Config& config) {
    return reconcile(nats, config, Mode::plan, streams_of(config));
}

std::vector<std::string> apply_streams(NatsConnection& nats, const Config& config) {
    return reconcile(nats, config, Mode::apply, streams_of(config));
}

std::vector<std::string> apply_stream(NatsConnection& nats, const Config& config,
                                      const Stream& stream) {
    return reconcile(nats, config, Mode::apply, {stream});
}

}  // namespace homeward::consumer
