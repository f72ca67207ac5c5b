#pragma once

#include <chrono>
#include <string>
#include <string_view>

struct pg_conn;
struct pg_result;

namespace homeward::consumer {

/// Connects by libpq, always in UTF8. Throws LeaderError with the server's SQLSTATE, or 08001 when
/// no server gave one.
pg_conn* pg_connect(const std::string& url);

/// The calls of libpq that wait, which it does without bound: here they end when the server neither
/// answers nor reads for `stall_max` (0: no limit). Its own timeouts and TCP's do not notice a
/// server whose processes are stopped. The connection is shut down then, and a LeaderError (08006)
/// says so. Borrows a connection in non-blocking mode.
class PgCalls {
  public:
    PgCalls(pg_conn* connection, std::chrono::milliseconds stall_max)
        : connection_(connection), stall_max_(stall_max) {}

    /// PQsendQuery(), after the results of what was sent before are gone.
    void send(const std::string& sql) const;
    /// PQexec().
    pg_result* execute(const std::string& sql) const;
    /// PQgetResult().
    pg_result* next_result() const;
    /// The last result of what has been sent, or that of a COPY that begins.
    pg_result* last_result() const;
    /// Ends what an error has left half done, such as a COPY.
    void discard_results() const;
    /// Sends what libpq has buffered.
    void flush() const;

    std::chrono::milliseconds stall_max() const { return stall_max_; }
    void set_stall_max(std::chrono::milliseconds stall_max) { stall_max_ = stall_max; }

  private:
    void wait_for(short events) const;
    [[noreturn]] void throw_lost() const;

    pg_conn* connection_;
    std::chrono::milliseconds stall_max_;
};

/// The SQLSTATE in libpq's verbose messages of a connection that failed, in any language: of
/// several hosts' the one that an operator must act upon, else the first. Empty without any.
std::string sqlstate_in(std::string_view verbose_messages);

}  // namespace homeward::consumer
