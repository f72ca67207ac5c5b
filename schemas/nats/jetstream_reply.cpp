#include "schemas/nats/jetstream_reply.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace homeward {
namespace {

using nlohmann::json;

/// Stays in this file.
class Malformed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Before anything is built from it.
bool is_shallow(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kReplyDepthMax) return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return true;
}

json parse_object(std::string_view text) {
    if (text.size() > kReplyBytesMax) throw Malformed("it is longer than 4 MiB");
    if (!is_shallow(text)) throw Malformed("it is nested more than 32 levels deep");
    json parsed = json::parse(text, nullptr, false);
    if (!parsed.is_object()) throw Malformed("it is not a JSON object");
    return parsed;
}

/// nullptr when the key is absent or null.
const json* find(const json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json& object_in(const json& object, const char* key) {
    const json* found = find(object, key);
    if (found == nullptr) throw Malformed(std::string("it has no \"") + key + "\"");
    if (!found->is_object()) throw Malformed(std::string("\"") + key + "\" is not an object");
    return *found;
}

std::string text_in(const json& object, const char* key) {
    const json* found = find(object, key);
    if (found == nullptr) return "";
    if (!found->is_string()) throw Malformed(std::string("\"") + key + "\" is not a string");
    return found->get<std::string>();
}

template <typename T>
T number_in(const json& object, const char* key, T absent) {
    const json* found = find(object, key);
    if (found == nullptr) return absent;
    if (!found->is_number_integer()) {
        throw Malformed(std::string("\"") + key + "\" is not an integer");
    }
    // nlohmann stores what is not negative as unsigned; a conversion would wrap in silence.
    const bool fits = found->is_number_unsigned() ? std::in_range<T>(found->get<std::uint64_t>())
                                                  : std::in_range<T>(found->get<std::int64_t>());
    if (!fits) throw Malformed(std::string("\"") + key + "\" is out of range");
    return found->is_number_unsigned() ? static_cast<T>(found->get<std::uint64_t>())
                                       : static_cast<T>(found->get<std::int64_t>());
}

bool flag_in(const json& object, const char* key) {
    const json* found = find(object, key);
    if (found == nullptr) return false;
    if (!found->is_boolean()) throw Malformed(std::string("\"") + key + "\" is not a boolean");
    return found->get<bool>();
}

int code_in(const json& error, const char* key) {
    const json* found = find(error, key);
    if (found == nullptr || !found->is_number_integer()) return 0;
    return std::in_range<int>(found->get<std::int64_t>()) ? found->get<int>() : 0;
}

/// An error of the wrong shape is an error all the same.
JetStreamError error_from(const json& error) {
    JetStreamError said;
    if (error.is_object()) {
        said.code = code_in(error, "code");
        said.err_code = code_in(error, "err_code");
        const json* description = find(error, "description");
        if (description != nullptr && description->is_string()) {
            said.description = printable(description->get_ref<const std::string&>());
        }
    }
    if (said.description.empty()) {
        said.description = said.code == 0
                               ? "an error without a description"
                               : "error " + std::to_string(said.code) + " without a description";
    }
    return said;
}

template <typename T, typename Read>
JetStreamReply<T> parse(std::string_view text, Read read) noexcept {
    JetStreamReply<T> reply;
    try {
        const json parsed = parse_object(text);
        if (const json* error = find(parsed, "error")) {
            reply.error = error_from(*error);
        } else {
            reply.value = read(parsed);
        }
    } catch (const Malformed& fault) {
        reply.malformed = fault.what();
    } catch (...) {
        // Out of memory, or a fault of ours. Short enough to need no memory of its own.
        reply.value.reset();
        reply.error.reset();
        reply.malformed = "unreadable";
    }
    return reply;
}

std::string dumped(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string printable(std::string_view text) {
    std::size_t end = std::min(text.size(), kReplyTextMax);
    // Not in the middle of a UTF-8 sequence.
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
        --end;
    }
    std::string out(text.substr(0, end));
    std::replace_if(
        out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return out;
}

JetStreamReply<PubAck> parse_pub_ack(std::string_view text) noexcept {
    return parse<PubAck>(text, [](const json& reply) {
        PubAck ack;
        ack.stream = text_in(reply, "stream");
        if (ack.stream.empty()) throw Malformed("it names no stream");
        ack.seq = number_in<std::uint64_t>(reply, "seq", 0);
        if (ack.seq == 0) throw Malformed("it gives no sequence");
        ack.is_duplicate = flag_in(reply, "duplicate");
        return ack;
    });
}

JetStreamReply<JetStreamAccount> parse_account(std::string_view text) noexcept {
    return parse<JetStreamAccount>(
        text, [](const json& reply) { return JetStreamAccount{text_in(reply, "domain")}; });
}

JetStreamReply<StreamNames> parse_stream_names(std::string_view text) noexcept {
    return parse<StreamNames>(text, [](const json& reply) {
        StreamNames page;
        const json* names = find(reply, "streams");
        if (names == nullptr) return page;
        if (!names->is_array()) throw Malformed("\"streams\" is not an array");
        for (const json& name : *names) {
            if (!name.is_string()) throw Malformed("\"streams\" has a name that is not a string");
            page.names.push_back(name.get<std::string>());
        }
        return page;
    });
}

JetStreamReply<StreamInfo> parse_stream_info(std::string_view text) noexcept {
    return parse<StreamInfo>(text, [](const json& reply) {
        StreamInfo info;
        const json& config = object_in(reply, "config");
        const json& state = object_in(reply, "state");
        info.config = dumped(config);
        info.retention = text_in(config, "retention");
        info.max_bytes = number_in<std::int64_t>(config, "max_bytes", -1);
        info.created = text_in(reply, "created");
        info.first_ts = text_in(state, "first_ts");
        info.first_seq = number_in<std::uint64_t>(state, "first_seq", 0);
        info.messages = number_in<std::uint64_t>(state, "messages", 0);
        info.bytes = number_in<std::uint64_t>(state, "bytes", 0);
        return info;
    });
}

JetStreamReply<ConsumerInfo> parse_consumer_info(std::string_view text) noexcept {
    return parse<ConsumerInfo>(text, [](const json& reply) {
        ConsumerInfo info;
        const json& config = object_in(reply, "config");
        info.config = dumped(config);
        info.description = text_in(config, "description");
        constexpr std::int64_t kAckWaitDefaultNs = 30'000'000'000;
        info.ack_wait_ns = number_in<std::int64_t>(config, "ack_wait", kAckWaitDefaultNs);
        info.ack_pending = number_in<std::uint64_t>(reply, "num_ack_pending", 0);
        info.pending = number_in<std::uint64_t>(reply, "num_pending", 0);
        if (find(reply, "ack_floor") != nullptr) {
            info.ack_floor =
                number_in<std::uint64_t>(object_in(reply, "ack_floor"), "stream_seq", 0);
        }
        return info;
    });
}

PullStatus parse_pull_status(std::string_view code, std::string_view description) noexcept {
    PullStatus status;
    int number = 0;
    const auto parsed = std::from_chars(code.data(), code.data() + code.size(), number);
    if (parsed.ec == std::errc{} && number >= 100 && number <= 599) status.code = number;
    try {
        status.description = printable(description);
    } catch (...) {
        status.description.clear();  // out of memory
    }
    return status;
}

}  // namespace homeward
