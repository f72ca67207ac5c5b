#pragma once

// The statements that make a call happen once: schemas/migrations/0021_forwarded_calls.sql. All of
// them by simple queries, so that they pass any pooler.

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

/// What a call has led to, to be stored with its key.
struct CallResult {
    Outcome outcome = Outcome::ok;  ///< ok, failed or abandoned
    std::string code{};
    std::string reply{};
};

struct BegunCall {
    std::string transaction;           ///< its id, by which store_call() knows it again
    std::optional<StoredCall> stored;  ///< the call has ended before
};

/// SHA-256 of operation, line feed and body, in hexadecimal.
std::string digest_of(const Job& job);

/// The first statement of the transaction. Limits every later one by the job's deadline, and waits
/// for another transaction with this key. Throws what libpqxx throws.
BegunCall begin_call(pqxx::work& tx, const std::string& app, const Job& job);
/// The last one before COMMIT. SQLSTATE HW008: `begun` is not the transaction any more.
void store_call(pqxx::work& tx, const std::string& app, const Job& job, const std::string& begun,
                const CallResult& result);

}  // namespace homeward::forward
