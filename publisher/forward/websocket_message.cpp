#include <homeward/forward/websocket_message.hpp>

#include <nlohmann/json.hpp>
#include <optional>

namespace homeward::forward {
namespace {

using nlohmann::json;
using Action = WebSocketRequest::Action;

constexpr std::int64_t kDeadlineMsMax = 3'600'000;

/// Why the message is none, or nothing.
using Mistake = std::optional<std::string>;

Mistake read_id(const json& message, WebSocketRequest& request) {
    const auto id = message.find("id");
    if (id == message.end()) return "\"id\" is missing";
    if (!id->is_string() && !id->is_number_integer()) return "\"id\" is no string or integer";
    std::string text = id->dump();
    if (text.size() > kRequestIdBytesMax) {
        return "\"id\" has " + std::to_string(text.size()) + " bytes; at most " +
               std::to_string(kRequestIdBytesMax);
    }
    request.id = std::move(text);
    return std::nullopt;
}

Mistake read_action(const json& message, WebSocketRequest& request) {
    constexpr std::pair<const char*, Action> kActions[] = {
        {"call", Action::call}, {"outcome", Action::outcome}, {"abandon", Action::abandon}};
    const std::string* value = nullptr;
    for (const auto& [name, action] : kActions) {
        const auto found = message.find(name);
        if (found == message.end()) continue;
        if (value != nullptr) return "only one of \"call\", \"outcome\", \"abandon\" is expected";
        if (!found->is_string()) return "\"" + std::string(name) + "\" is no string";
        value = found->get_ptr<const std::string*>();
        request.action = action;
    }
    if (value == nullptr) return "one of \"call\", \"outcome\", \"abandon\" is expected";
    (request.action == Action::call ? request.operation : request.key) = *value;
    return std::nullopt;
}

Mistake read_field(const std::string& name, const json& value, WebSocketRequest& request) {
    if (name == "id" || name == "call" || name == "outcome" || name == "abandon")
        return std::nullopt;
    const bool is_call = request.action == Action::call;
    if (name == "deadline_ms") {
        if (!value.is_number_integer() || value < 1 || value > kDeadlineMsMax) {
            return "\"deadline_ms\" is no integer from 1 to " + std::to_string(kDeadlineMsMax);
        }
        request.deadline = std::chrono::milliseconds(value.get<std::int64_t>());
        return std::nullopt;
    }
    if (!is_call || (name != "key" && name != "body")) {
        return "unknown field \"" + name.substr(0, 40) + "\"";
    }
    if (!value.is_string()) return "\"" + name + "\" is no string";
    (name == "key" ? request.key : request.body) = value.get_ref<const std::string&>();
    return std::nullopt;
}

Mistake read_request(const json& message, WebSocketRequest& request) {
    if (!message.is_object()) return "the message is no JSON object";
    if (auto mistake = read_id(message, request)) return mistake;
    if (auto mistake = read_action(message, request)) return mistake;
    for (const auto& [name, value] : message.items()) {
        if (auto mistake = read_field(name, value, request)) return mistake;
    }
    if (request.action == Action::call && !is_valid_operation(request.operation)) {
        return "\"call\" is not the name of an operation, such as \"order.place\"";
    }
    if (!is_valid_key(request.key)) {
        return "the key must have 1 to " + std::to_string(kKeyBytesMax) +
               " printable ASCII characters and no spaces";
    }
    return std::nullopt;
}

std::string_view name_of(ReplicaState state) {
    switch (state) {
        case ReplicaState::covered:
            return "covered";
        case ReplicaState::behind:
            return "behind";
        case ReplicaState::away:
            return "away";
        case ReplicaState::not_asked:
            break;
    }
    return "";
}

}  // namespace

WebSocketRequest parse_websocket_request(std::string_view text) {
    WebSocketRequest request;
    const json message = json::parse(text, nullptr, false);
    if (message.is_discarded()) {
        request.error = "the message is not valid JSON";
    } else if (auto mistake = read_request(message, request)) {
        request.error = std::move(*mistake);
    }
    return request;
}

std::string websocket_reply(const WebSocketRequest& request, const Reply& reply) {
    json text{{"outcome", forward::name_of(reply.outcome)}, {"body", reply.body}};
    if (!request.key.empty()) text["key"] = request.key;
    if (!reply.code.empty()) text["code"] = reply.code;
    if (reply.retry_after.count() > 0) text["retry_after_ms"] = reply.retry_after.count();
    if (reply.was_stored) text["was_stored"] = true;
    if (!reply.session_token.empty()) text["session_token"] = reply.session_token;
    if (reply.replica != ReplicaState::not_asked) text["replica"] = name_of(reply.replica);
    // The id is put in as it came.
    const std::string rest = text.dump(-1, ' ', false, json::error_handler_t::replace);
    return "{\"id\":" + request.id + "," + rest.substr(1);
}

}  // namespace homeward::forward
