#pragma once

// The statements that make a call run once: schemas/migrations/0021_forwarded_calls.sql. They use
// the simple query protocol, which every pooler supports.

#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "publisher/forward/call_queue.hpp"

namespace homeward::forward {

/// How an earlier call with the same key ended.
struct StoredCall {
    Outcome outcome;
    std::string operation;
    std::string digest;  ///< hexadecimal
    std::string code;
    std::string reply;
};

/// The result of a call, stored with its key.
struct CallResult {
    Outcome outcome = Outcome::ok;  ///< ok, failed or abandoned
    std::string code{};
    std::string reply{};
};

struct BegunCall {
    std::string transaction;           ///< its id, which store_call() compares
    std::optional<StoredCall> stored;  ///< the call has ended before
};

/// SHA-256 of operation, line feed and body, in hexadecimal.
std::string digest_of(const Job& job);

/// The transaction's first statement. Sets timeouts for the deadline, claims the key, and waits for
/// another transaction with it. A claim that a handler has committed by itself is a stored call:
/// failed, `transaction_ended`. Throws what libpqxx throws.
BegunCall begin_call(pqxx::work& tx, const std::string& app, const Job& job,
                     Job::Clock::time_point deadline);
/// The last statement before COMMIT: exchanges the claim for the result. Fails with SQLSTATE HW008
/// if `begun` is no longer the current transaction.
void store_call(pqxx::work& tx, const std::string& app, const Job& job, const std::string& begun,
                const CallResult& result);

}  // namespace homeward::forward
