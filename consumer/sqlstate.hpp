#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace homeward::consumer {

/// What to do about an error of the leader.
enum class ErrorClass : unsigned char {
    retry,    ///< connection, failover, lock, resource, cancel: wait and try again, for ever
    settled,  ///< the ledger has some of it already: look first, then write the rest
    data,     ///< one event cannot be a row: isolate it
    schema,   ///< a table or a right is missing: repair or pause, loudly
    unknown,  ///< pause rather than guess
};

/// An error that PostgreSQL or the connection to it reported.
class LeaderError : public std::runtime_error {
  public:
    LeaderError(std::string sqlstate, const std::string& message, std::string context)
        : std::runtime_error(message), sqlstate_(std::move(sqlstate)), context_(std::move(context)) {}
    const std::string& sqlstate() const { return sqlstate_; }
    const std::string& context() const { return context_; }

  private:
    std::string sqlstate_;  // five characters; 08006 when the connection broke
    std::string context_;   // "COPY audit_events, line 17"
};

/// By SQLSTATE alone, never by message. `has_worked`: whether this configuration has connected
/// before; a password that is refused for the first time is a mistake, later it is a rotation.
ErrorClass classify(std::string_view sqlstate, bool has_worked);

/// The row that a COPY stumbled over, counted from 0; -1 when the context does not say.
long copy_row_of(std::string_view context);

}  // namespace homeward::consumer
