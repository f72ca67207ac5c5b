#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/base/config.hpp"
#include "consumer/postgres/pg_connect.hpp"
#include "consumer/postgres/session_settings.hpp"
#include "consumer/postgres/sqlstate.hpp"

namespace homeward::consumer {

/// Rows of a query, as text. Valid as long as it lives.
class QueryResult {
  public:
    explicit QueryResult(pg_result* result);
    int rows() const;
    int columns() const;
    std::string_view at(int row, int column) const;
    bool is_null(int row, int column) const;
    std::int64_t number(int row, int column) const;
    std::string_view column_name(int column) const;

  private:
    std::shared_ptr<pg_result> result_;
};

/// One parameter of a statement: text, or bytes for a bytea.
struct Parameter {
    Parameter(std::string_view value) : text(value) {}
    Parameter(const std::string& value) : text(value) {}
    Parameter(const char* value) : text(value) {}
    Parameter(std::int64_t value) : text(std::to_string(value)) {}
    Parameter(int value) : text(std::to_string(value)) {}
    Parameter(std::nullptr_t) : is_null(true) {}
    static Parameter bytes(std::string_view value);

    std::string text;
    bool is_binary = false;
    bool is_null = false;
};

/// Which PostgreSQL it is: a cluster, and how often a standby of it has been promoted.
struct LeaderIdentity {
    std::string system;  ///< the cluster's system identifier
    std::int64_t timeline = 0;
    bool operator==(const LeaderIdentity&) const = default;
};

/// A connection to the leader; with pg_connect the one place that knows libpq. One thread at a
/// time. Every error is a LeaderError with its SQLSTATE. Nothing depends on the session: behind a
/// pooler, each transaction may be served by another one.
///
/// A server that neither answers nor reads for statement_timeout_ms plus 5 s has stalled: its
/// process is stopped, its disk hangs, or it is gone behind a pooler. The connection is lost then
/// (08006). No limit applies with a statement_timeout_ms of 0.
class PgConnection {
  public:
    /// While it lives, the server may take as long as it needs. The caller sets statement_timeout.
    class WithoutLimit {
      public:
        explicit WithoutLimit(PgConnection& connection);
        ~WithoutLimit();
        WithoutLimit(const WithoutLimit&) = delete;
        WithoutLimit& operator=(const WithoutLimit&) = delete;

      private:
        PgCalls& calls_;
        const std::chrono::milliseconds before_;
    };

    /// Connects, refuses what is no writable leader (25006) or not UTF8 (0A000), and sets every
    /// setting that our statements depend on.
    PgConnection(const std::string& url, const Config::Postgres& config);
    ~PgConnection();
    PgConnection(PgConnection&& other) noexcept;
    PgConnection& operator=(PgConnection&&) = delete;

    /// Any number of statements, separated by semicolons, in one round trip; the last one's result.
    QueryResult execute(const std::string& sql);
    /// The same, with the result of each.
    std::vector<QueryResult> execute_each(const std::string& sql);
    QueryResult query(const std::string& sql, const std::vector<Parameter>& parameters = {});
    /// One statement that no transaction may be around, such as VACUUM. Behind a pooler it has the
    /// server's settings instead of ours.
    void execute_alone(const std::string& sql);
    /// A COPY, and statements behind it, which run when its data have ended. An error here is one
    /// of the statement, not of a row.
    void copy_begin(const std::string& sql);
    /// Small pieces are sent together: a message of the protocol for each row costs both sides.
    void copy_data(std::string_view bytes);
    /// Throws the error that the leader had with the data, if any, or with the statements behind
    /// the COPY, which is one of the statement.
    void copy_end();

    bool is_broken() const;
    /// Somebody between us and the leader hands connections out by transaction, or could.
    bool is_pooled() const { return is_pooled_; }
    int server_version() const;  ///< 150004 for 15.4
    const LeaderIdentity& identity() const { return identity_; }
    std::string quote(std::string_view identifier) const;
    /// `sql` with the schema where the ledger is, for copy_begin(); the others do it themselves.
    std::string placed(const std::string& sql) const;

  private:
    [[noreturn]] void throw_error(pg_result* result) const;
    void check(pg_result* result) const;
    void put(std::string_view bytes);
    /// Reads what is left of the answer; returns its first error, if any, which the caller owns.
    pg_result* drain();
    std::string prepared(const std::string& sql) const;
    bool needs_settings() const;
    QueryResult send_query(const std::string& sql, const std::vector<Parameter>& parameters);
    void begin_session();
    LeaderIdentity read_identity();

    pg_conn* connection_ = nullptr;
    SessionSettings settings_;
    PgCalls calls_;
    bool is_pooled_ = false;
    std::string copy_buffer_;  // what is not sent yet
    std::string ledger_schema_;
    LeaderIdentity identity_;
};

/// What is wrong with a server of this version; empty: nothing. Every PgConnection asks when it
/// connects.
std::string version_complaint(int server_version);
/// What is wrong with a database of this encoding; empty: nothing. Asked likewise.
std::string encoding_complaint(std::string_view encoding);

/// Why something became a dead letter or a tombstone is told in so many bytes.
inline constexpr std::size_t kReasonBytesMax = 1'024;

}  // namespace homeward::consumer
