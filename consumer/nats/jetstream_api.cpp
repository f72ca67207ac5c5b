#include "consumer/nats/jetstream_api.hpp"

#include <algorithm>
#include <utility>

namespace homeward::consumer::jetstream {
namespace {

using nlohmann::json;

constexpr int kNotEnabled = 10076;
constexpr int kNotEnabledForAccount = 10039;

}  // namespace

std::string call(NatsConnection& nats, const Stream& stream, const std::string& method,
                 const json& body, std::chrono::milliseconds patience) {
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

void refuse_error(const std::optional<JetStreamError>& error, const Stream& stream,
                  const std::string& what) {
    if (!error) return;
    const bool disabled =
        error->err_code == kNotEnabled || error->err_code == kNotEnabledForAccount;
    throw NatsError(
        stream.name + ": cannot " + what + ": " + error->description +
        (disabled ? "; add jetstream {} to the configuration of that nats-server" : ""));
}

JetStreamReply<StreamInfo> stream_info(NatsConnection& nats, const Stream& stream,
                                       std::chrono::milliseconds patience) {
    const std::string method = "STREAM.INFO." + stream.name;
    return understood(parse_stream_info(call(nats, stream, method, json::object(), patience)),
                      stream);
}

JetStreamReply<ConsumerInfo> durable_info(NatsConnection& nats, const Stream& stream,
                                          std::chrono::milliseconds patience) {
    const std::string method = "CONSUMER.INFO." + stream.name + "." + stream.durable;
    return understood(parse_consumer_info(call(nats, stream, method, json::object(), patience)),
                      stream);
}

ConsumerInfo read_durable(NatsConnection& nats, const Stream& stream) {
    const auto durable = durable_info(nats, stream);
    refuse_error(durable, stream, "read the durable");
    return *durable.value;
}

void create_durable(NatsConnection& nats, const Stream& stream, json settings) {
    const json body{{"stream_name", stream.name}, {"config", std::move(settings)}};
    const std::string method = "CONSUMER.DURABLE.CREATE." + stream.name + "." + stream.durable;
    refuse_error(understood(parse_consumer_info(call(nats, stream, method, body)), stream), stream,
                 "create or update the durable");
}

json config_in(const std::string& text) {
    return json::parse(text, nullptr, false);
}

std::string text_of(const json& settings, const char* key) {
    const auto found = settings.find(key);
    return found != settings.end() && found->is_string() ? found->get<std::string>() : "";
}

std::uint64_t max_ack_pending_in(const json& settings) {
    const auto found = settings.find("max_ack_pending");
    const bool is_number = found != settings.end() && found->is_number_integer();
    return is_number
               ? static_cast<std::uint64_t>(std::max<std::int64_t>(found->get<std::int64_t>(), 0))
               : 0;
}

}  // namespace homeward::consumer::jetstream
