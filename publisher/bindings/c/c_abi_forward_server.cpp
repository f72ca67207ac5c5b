// homeward_forward_server.h on top of the C++ server. No exception leaves it.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <homeward/forward/server.hpp>
#include <homeward/replay/token.hpp>

#include "publisher/bindings/c/c_abi_handles.hpp"
#include "publisher/bindings/c/c_abi_transaction.hpp"
#include "publisher/bindings/c/pulled_calls.hpp"

namespace forward = homeward::forward;

using homeward::as_known;
using homeward::explain_to;
using std::chrono::milliseconds;

static_assert(forward::kOutcomes <=
              sizeof(homeward_forward_server_stats::answered) / sizeof(std::uint64_t));

struct homeward_forward_server {
    explicit homeward_forward_server(forward::ServerOptions options) : server(std::move(options)) {}

    /// Its threads are the parent's; what they guard may be locked for ever here.
    bool is_in_child() const { return started_by != 0 && started_by != getpid(); }

    std::string problem;   ///< what on() could not do
    pid_t started_by = 0;  ///< 0: not started
    homeward::PulledCalls pulled;
    forward::Server server;  // ends first: its workers use the others
};

namespace {

forward::ServerOptions server_options_from(const homeward_forward_server_options& caller) {
    const homeward_forward_server_options given = as_known(caller);
    forward::ServerOptions options;
    options.connection = homeward::options_from(*given.connection);
    if (given.database_url != nullptr) options.database_url = given.database_url;
    if (given.workers != 0) options.workers = given.workers;
    if (given.queue_max != 0) options.queue_max = given.queue_max;
    if (given.reply_bytes_max != 0) options.reply_bytes_max = given.reply_bytes_max;
    if (given.deadline_max_ms != 0) options.deadline_max = milliseconds(given.deadline_max_ms);
    if (given.token_keys != nullptr && *given.token_keys != '\0') {
        homeward::replay::ParsedKeys parsed = homeward::replay::keys_from_text(given.token_keys);
        if (parsed.error != homeward::replay::KeyError::none) {
            throw homeward::SetupError("forwarded calls: token_keys: " +
                                       std::string(homeward::replay::explain(parsed.error)));
        }
        options.token_keys = std::move(parsed.keys);
    }
    return options;
}

std::string run_handler(homeward_handler handler, void* context, homeward_tx& tx) {
    handler(context, &tx, &tx.call);
    return tx.result();
}

/// On a worker: waits for the app's thread that takes the call.
std::string wait_for_taker(homeward_forward_server& server, homeward_tx& tx,
                           const forward::Call& call) {
    tx.pulled = &server.pulled;
    // The deadline has passed then, so that this is answered as expired.
    if (!server.pulled.offer(tx, call.deadline)) throw std::runtime_error("nobody took the call");
    return tx.result();
}

}  // namespace

homeward_forward_server* homeward_forward_server_new(const homeward_forward_server_options* options,
                                                     char* why, size_t why_bytes) {
    if (options == nullptr || options->size < offsetof(homeward_forward_server_options, workers)) {
        explain_to("options.size is not sizeof(homeward_forward_server_options)", why, why_bytes);
        return nullptr;
    }
    if (!homeward::has_connection(options->connection)) {
        explain_to("options.connection is NULL, or its size is not sizeof(homeward_options)", why,
                   why_bytes);
        return nullptr;
    }
    try {
        return new homeward_forward_server(server_options_from(*options));
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return nullptr;
    }
}

int homeward_forward_server_on(homeward_forward_server* server, const char* operation,
                               homeward_handler handler, void* context) {
    if (server == nullptr) return 0;
    try {
        if (operation == nullptr) throw homeward::SetupError("the operation is NULL");
        if (server->started_by != 0) {
            throw homeward::SetupError("the operation \"" + std::string(operation) +
                                       "\" was added after the start");
        }
        server->server.on(operation, [=](pqxx::work& work, const forward::Call& call) {
            homeward_tx tx(work, call);
            return handler != nullptr ? run_handler(handler, context, tx)
                                      : wait_for_taker(*server, tx, call);
        });
        return 1;
    } catch (const std::exception& error) {
        if (server->problem.empty()) server->problem = error.what();
        return 0;
    }
}

int homeward_forward_server_start(homeward_forward_server* server, char* why, size_t why_bytes) {
    if (server == nullptr) {
        explain_to("the server is NULL", why, why_bytes);
        return 0;
    }
    try {
        if (!server->problem.empty()) throw homeward::SetupError(server->problem);
        if (server->started_by != 0) {
            throw homeward::SetupError("the server was started before, or it is closed");
        }
        server->started_by = getpid();
        server->server.start();
        return 1;
    } catch (const std::exception& error) {
        explain_to(error.what(), why, why_bytes);
        return 0;
    }
}

homeward_next homeward_forward_server_next(homeward_forward_server* server, uint32_t wait_ms,
                                           homeward_tx** tx) {
    homeward_tx* taken = nullptr;
    const bool can_take = server != nullptr && tx != nullptr && !server->is_in_child();
    const homeward_next next =
        can_take ? server->pulled.take(milliseconds(wait_ms), taken) : HOMEWARD_NEXT_CLOSED;
    if (tx != nullptr) *tx = taken;
    return next;
}

int homeward_forward_server_close(homeward_forward_server* server, uint32_t deadline_ms) {
    if (server == nullptr || server->is_in_child()) return 0;
    if (server->started_by == 0) server->started_by = getpid();
    const bool is_whole = server->server.close(milliseconds(deadline_ms));
    server->pulled.close();
    return is_whole ? 1 : 0;
}

void homeward_forward_server_free(homeward_forward_server* server) {
    if (server == nullptr || server->is_in_child()) return;
    delete server;
}

int homeward_forward_server_get_stats(const homeward_forward_server* server,
                                      homeward_forward_server_stats* stats) {
    if (server == nullptr || stats == nullptr || server->is_in_child()) return 0;
    const forward::ServerStats now = server->server.stats();
    homeward_forward_server_stats all{stats->size, now.joined,   now.queued, now.running,
                                      now.retried, now.in_doubt, {}};
    std::copy(now.answered.begin(), now.answered.end(), all.answered);
    std::memcpy(stats, &all, std::min(stats->size, sizeof all));
    return 1;
}
