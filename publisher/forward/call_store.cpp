#include "publisher/forward/call_store.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

namespace homeward::forward {
namespace {

/// The largest value of PostgreSQL's timeouts, 24 days.
constexpr std::int64_t kTimeoutMsMax = std::numeric_limits<std::int32_t>::max();

std::string hex_of(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

int value_of(char digit) {
    return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

std::string bytes_of(std::string_view hex) {
    std::string bytes;
    bytes.reserve(hex.size() / 2);
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes += static_cast<char>(value_of(hex[i]) << 4 | value_of(hex[i + 1]));
    }
    return bytes;
}

Outcome stored_outcome(const std::string& text) {
    for (const Outcome outcome : {Outcome::ok, Outcome::failed, Outcome::abandoned}) {
        if (text == name_of(outcome)) return outcome;
    }
    throw std::runtime_error("homeward.forwarded_call has the outcome \"" + text + "\"");
}

std::string milliseconds_until(Job::Clock::time_point deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Job::Clock::now());
    // Rounded up, so that the deadline has passed when it ends a statement; 0 would be no limit.
    return std::to_string(std::clamp<std::int64_t>(left.count(), 0, kTimeoutMsMax - 1) + 1);
}

}  // namespace

std::string digest_of(const Job& job) {
    const std::string text = job.operation + "\n" + job.body;
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return hex_of({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

BegunCall begin_call(pqxx::work& tx, const std::string& app, const Job& job,
                     Job::Clock::time_point deadline) {
    const std::string left = milliseconds_until(deadline);
    const pqxx::result rows = tx.exec(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
        "SET LOCAL statement_timeout = " +
        left + ";SET LOCAL lock_timeout = " + left +
        ";SET LOCAL idle_in_transaction_session_timeout = " + left +
        ";SELECT begun, operation, encode(digest, 'hex'), outcome, code,"
        " encode(reply, 'hex') FROM homeward.begin_call(" +
        tx.quote(app) + ", " + tx.quote(job.key) + ", " + tx.quote(job.region) + ", " +
        tx.quote(job.operation) + ", decode('" + digest_of(job) + "', 'hex'))");
    const auto row = rows[0];
    BegunCall begun;
    begun.transaction = row[0].as<std::string>();
    if (!row[3].is_null()) {
        begun.stored = StoredCall{stored_outcome(row[3].as<std::string>()),
                                  row[1].as<std::string>(), row[2].as<std::string>(),
                                  row[4].as<std::string>(), bytes_of(row[5].as<std::string>())};
    }
    return begun;
}

void store_call(pqxx::work& tx, const std::string& app, const Job& job, const std::string& begun,
                const CallResult& result) {
    tx.exec("SELECT homeward.store_call(" + tx.quote(begun) + ", " + tx.quote(app) + ", " +
            tx.quote(job.key) + ", " + tx.quote(std::string(name_of(result.outcome))) + ", " +
            tx.quote(result.code) + ", decode('" + hex_of(result.reply) + "', 'hex'))");
}

}  // namespace homeward::forward
