#include "consumer/nats/stream.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "consumer/nats/jetstream_api.hpp"
#include "schemas/text/rfc3339.hpp"

namespace homeward::consumer {
namespace {

using namespace jetstream;
using nlohmann::json;

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

std::vector<std::string> find_duplicate_streams(NatsConnection& nats,
                                                const std::vector<Stream>& streams) {
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
    const ConsumerInfo durable = read_durable(nats, stream);
    if (durable.description == text) return;
    json settings = config_in(durable.config);
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

}  // namespace homeward::consumer
