// What a NATS server, or whoever answers in its place, says. A reply of JetStream: one of value,
// error and "malformed", never more; a configuration can be read again. Its greeting, and addresses
// of other servers: the login stays. What reaches a log is short and printable.

#include <nlohmann/json.hpp>

#include "schemas/nats/jetstream_reply.hpp"
#include "schemas/nats/nats_probe.hpp"
#include "tests/fuzz/bytes.hpp"

using namespace homeward;
using fuzz::require;

namespace {

void check_text(const std::string& text) {
    require(text.size() <= kReplyTextMax);
    for (const unsigned char c : text) require(c >= 0x20 && c != 0x7f);
}

template <typename T>
const T* check(const JetStreamReply<T>& reply) {
    require(reply.value.has_value() + reply.error.has_value() + !reply.malformed.empty() == 1);
    check_text(reply.malformed);
    if (reply.error) {
        require(!reply.error->description.empty());
        check_text(reply.error->description);
    }
    return reply.value ? &*reply.value : nullptr;
}

void check_config(const std::string& config) {
    require(nlohmann::json::parse(config, nullptr, false).is_object());
}

void check_greeting(std::string_view heard) {
    const std::string without_tls = judge_greeting(heard, false);
    check_text(without_tls);
    check_text(judge_greeting(heard, true));
    require(!without_tls.empty() || heard.substr(0, 5) == "INFO ");
}

/// As nats.c gives it, of INFO's connect_urls.
void check_address(std::string_view address) {
    constexpr std::string_view kLogin = "nats://app:secret@";
    const std::string other = with_address(std::string(kLogin) + "hub:4222", address);
    require(other.compare(0, kLogin.size(), kLogin) == 0);
    check_text(printable_address(address));
    require(printable_address(other) == printable_address(address));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    const auto kind = input.take<std::uint8_t>() % 8;
    const std::string_view text = input.take_text(input.size());
    if (kind == 0) {
        const auto reply = parse_pub_ack(text);
        if (const auto* ack = check(reply)) require(!ack->stream.empty() && ack->seq > 0);
    } else if (kind == 1) {
        check(parse_account(text));
    } else if (kind == 2) {
        check(parse_stream_names(text));
    } else if (kind == 3) {
        const auto reply = parse_stream_info(text);
        if (const auto* info = check(reply)) check_config(info->config);
    } else if (kind == 4) {
        const auto reply = parse_consumer_info(text);
        if (const auto* info = check(reply)) check_config(info->config);
    } else if (kind == 6) {
        check_greeting(text);
    } else if (kind == 7) {
        check_address(text);
    } else {
        const std::size_t half = text.size() / 2;
        const auto status = parse_pull_status(text.substr(0, half), text.substr(half));
        require(status.code == 0 || (status.code >= 100 && status.code <= 599));
        check_text(status.description);
    }
    return 0;
}
