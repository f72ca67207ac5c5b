// homeward_forward.h on top of the C++ client. No exception leaves it.

#include <homeward_forward.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <homeward/forward/client.hpp>

#include "publisher/bindings/c/c_abi_handles.hpp"

namespace forward = homeward::forward;

using homeward::as_known;
using homeward::explain_to;
using std::chrono::milliseconds;

struct homeward_client {
    explicit homeward_client(forward::ClientOptions options) : client(std::move(options)) {}
    forward::Client client;
};

namespace {

template <typename Code, typename Value>
constexpr bool is_same(Code code, Value value) {
    return static_cast<int>(code) == static_cast<int>(value);
}
static_assert(is_same(HOMEWARD_OUTCOME_OK, forward::Outcome::ok) &&
              is_same(HOMEWARD_OUTCOME_FAILED, forward::Outcome::failed) &&
              is_same(HOMEWARD_OUTCOME_ABANDONED, forward::Outcome::abandoned) &&
              is_same(HOMEWARD_OUTCOME_REFUSED, forward::Outcome::refused) &&
              is_same(HOMEWARD_OUTCOME_BUSY, forward::Outcome::busy) &&
              is_same(HOMEWARD_OUTCOME_EXPIRED, forward::Outcome::expired) &&
              is_same(HOMEWARD_OUTCOME_UNAVAILABLE, forward::Outcome::unavailable) &&
              is_same(HOMEWARD_OUTCOME_NO_RESPONDERS, forward::Outcome::no_responders) &&
              is_same(HOMEWARD_OUTCOME_NOT_FOUND, forward::Outcome::not_found) &&
              is_same(HOMEWARD_OUTCOME_IN_DOUBT, forward::Outcome::in_doubt));
static_assert(is_same(HOMEWARD_REPLICA_NOT_ASKED, forward::ReplicaState::not_asked) &&
              is_same(HOMEWARD_REPLICA_COVERED, forward::ReplicaState::covered) &&
              is_same(HOMEWARD_REPLICA_BEHIND, forward::ReplicaState::behind) &&
              is_same(HOMEWARD_REPLICA_AWAY, forward::ReplicaState::away));

/// What a caller gets, and the texts that it points to.
struct OwnedReply : homeward_reply {
    explicit OwnedReply(forward::Reply from) : homeward_reply{}, reply(std::move(from)) {
        size = sizeof(homeward_reply);
        outcome = static_cast<homeward_outcome>(reply.outcome);
        was_stored = reply.was_stored ? 1 : 0;
        key = reply.key.c_str();
        body = reply.body.c_str();
        body_bytes = reply.body.size();
        code = reply.code.c_str();
        session_token = reply.session_token.c_str();
        replica = static_cast<homeward_replica_state>(reply.replica);
        retry_after_ms = static_cast<std::uint32_t>(reply.retry_after.count());
        attempts = reply.attempts;
    }
    forward::Reply reply;
};

template <typename Run>
homeward_reply* reply_of(Run&& run) {
    try {
        return new OwnedReply(run());
    } catch (const std::exception&) {
        return nullptr;  // no memory
    }
}

forward::ReplicaState known_state(homeward_replica_state state) {
    const bool is_known = state >= HOMEWARD_REPLICA_NOT_ASKED && state <= HOMEWARD_REPLICA_AWAY;
    return is_known ? static_cast<forward::ReplicaState>(state) : forward::ReplicaState::not_asked;
}

forward::ClientOptions client_options_from(const homeward_client_options& caller) {
    const homeward_client_options given = as_known(caller);
    forward::ClientOptions options;
    options.connection = homeward::options_from(*given.connection);
    if (given.deadline_ms != 0) options.deadline = milliseconds(given.deadline_ms);
    if (given.retry_after_ms != 0) options.retry_after = milliseconds(given.retry_after_ms);
    if (given.replica_wait_max_ms != 0) {
        options.replica_wait_max = milliseconds(given.replica_wait_max_ms);
    }
    if (given.replica_wait != nullptr) {
        options.replica_wait = [wait = given.replica_wait, context = given.replica_context](
                                   const std::string& token, milliseconds wait_max) {
            return known_state(
                wait(context, token.c_str(), static_cast<std::uint32_t>(wait_max.count())));
        };
    }
    return options;
}

}  // namespace

const char* homeward_outcome_name(homeward_outcome outcome) {
    const bool is_known = outcome >= HOMEWARD_OUTCOME_OK && outcome <= HOMEWARD_OUTCOME_IN_DOUBT;
    if (!is_known) return "unknown";
    return forward::name_of(static_cast<forward::Outcome>(outcome)).data();  // of a literal
}

homeward_client* homeward_client_open(const homeward_client_options* options, char* why,
                                      size_t why_bytes) {
    if (options == nullptr || options->size < offsetof(homeward_client_options, deadline_ms)) {
        explain_to("options.size is not sizeof(homeward_client_options)", why, why_bytes);
        return nullptr;
    }
    if (!homeward::has_connection(options->connection)) {
        explain_to("options.connection is NULL, or its size is not sizeof(homeward_options)", why,
                   why_bytes);
        return nullptr;
    }
    try {
        return new homeward_client(client_options_from(*options));
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return nullptr;
    }
}

homeward_reply* homeward_client_call(homeward_client* client, const char* operation,
                                     const char* body, size_t body_bytes,
                                     const homeward_call_options* options) {
    if (client == nullptr || operation == nullptr || (body == nullptr && body_bytes > 0)) {
        return nullptr;
    }
    return reply_of([&] {
        forward::CallOptions call;
        if (options != nullptr) {
            const homeward_call_options given = as_known(*options);
            if (given.key != nullptr) call.key = given.key;
            call.deadline = milliseconds(given.deadline_ms);
            call.wait_for_replica = given.skip_replica_wait == 0;
        }
        return client->client.call(operation, {body, body_bytes}, std::move(call));
    });
}

homeward_reply* homeward_client_outcome(homeward_client* client, const char* key,
                                        uint32_t deadline_ms) {
    if (client == nullptr || key == nullptr) return nullptr;
    return reply_of([&] { return client->client.outcome(key, milliseconds(deadline_ms)); });
}

homeward_reply* homeward_client_abandon(homeward_client* client, const char* key,
                                        uint32_t deadline_ms) {
    if (client == nullptr || key == nullptr) return nullptr;
    return reply_of([&] { return client->client.abandon(key, milliseconds(deadline_ms)); });
}

void homeward_reply_free(homeward_reply* reply) {
    delete static_cast<OwnedReply*>(reply);
}

int homeward_client_is_connected(const homeward_client* client) {
    return client != nullptr && client->client.is_connected() ? 1 : 0;
}

void homeward_client_free(homeward_client* client) {
    delete client;
}
