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
    schema,   ///< a table or a right is missing
    unknown,  ///< stands in no table
};

/// An error that PostgreSQL or the connection to it reported.
class LeaderError : public std::runtime_error {
  public:
    LeaderError(std::string sqlstate, const std::string& message, std::string context)
        : std::runtime_error(message),
          sqlstate_(std::move(sqlstate)),
          context_(std::move(context)) {}
    const std::string& sqlstate() const { return sqlstate_; }
    const std::string& context() const { return context_; }
    /// 23514, since no partition takes the row: retention or somebody has dropped its day.
    bool lacks_partition() const { return lacks_partition_; }
    void set_lacks_partition(bool lacks) { lacks_partition_ = lacks; }
    /// The statement itself cannot run, whatever its rows are.
    bool is_of_statement() const { return is_of_statement_; }
    void set_of_statement() { is_of_statement_ = true; }

  private:
    std::string sqlstate_;  // five characters; 08006 when the connection broke
    std::string context_;   // "COPY audit_events, line 17", in the leader's language
    bool lacks_partition_ = false;
    bool is_of_statement_ = false;
};

/// By SQLSTATE alone, never by message. `has_worked`: whether this configuration has connected
/// before; a password that is refused for the first time is a mistake, later it is a rotation.
ErrorClass classify(std::string_view sqlstate, bool has_worked);

/// Whether the error says nothing of the row that met it: it may never make a dead letter.
inline bool is_transient(std::string_view sqlstate) {
    return classify(sqlstate, true) == ErrorClass::retry;
}

/// statement_timeout, or somebody's pg_cancel_backend().
inline constexpr std::string_view kQueryCanceled = "57014";

/// The row that a COPY into this table stumbled over, counted from 0; -1 when the context does not
/// say. In any language: of "COPY audit_events, line 17" only the name and the number count.
long copy_row_of(std::string_view context, std::string_view table);

}  // namespace homeward::consumer
