#pragma once

/// @file
/// The replay helper for plain libpq. Header only: only its users need libpq.

#include <libpq-fe.h>
#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <homeward/replay/helper.hpp>
#include <homeward/replay/position_source.hpp>
#include <homeward/replay/postgres.hpp>
#include <homeward/replay/role_check.hpp>

namespace homeward::replay {

namespace detail {

struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using LibpqResult = std::unique_ptr<PGresult, ClearResult>;

/// The first row as text; nothing when there is none, or it has other columns.
template <typename Row>
std::optional<Row> first_row(const PGresult* result) {
    Row row;
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 ||
        PQnfields(result) != static_cast<int>(row.size())) {
        return std::nullopt;
    }
    for (int column = 0; column < PQnfields(result); ++column) {
        row[static_cast<std::size_t>(column)] = PQgetvalue(result, 0, column);
    }
    return row;
}

}  // namespace detail

/// The SQLSTATE of a result. The thread that uses the connection.
/// @param result of PQexec() and the like
/// @return "" if it is no error, "08006" if the connection broke and the server gave no SQLSTATE
inline std::string sqlstate_of(const PGresult* result) {
    switch (PQresultStatus(result)) {
        case PGRES_BAD_RESPONSE:
        case PGRES_FATAL_ERROR: {
            const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            return state == nullptr ? "08006" : state;
        }
        case PGRES_PIPELINE_ABORTED:  // an earlier result of the same pipeline has the error
        default:
            return "";
    }
}

/// What a result's error means, for HandlerResult::cause and Situation::cause. The thread that uses
/// the connection.
/// @param result of PQexec() and the like
/// @return Cause::none if it is no error
inline Cause cause_of(const PGresult* result) {
    return cause_of_sqlstate(sqlstate_of(result));
}

/// The role of the server, without a query: PostgreSQL 14 and newer report it when it changes. The
/// thread that uses the connection.
/// @param connection open
/// @return unknown for an older server
inline ServerRole server_role(const PGconn* connection) {
    const char* is_standby = PQparameterStatus(connection, "in_hot_standby");
    if (is_standby == nullptr) return ServerRole::unknown;
    if (std::string_view(is_standby) == "on") return ServerRole::standby;
    const char* is_read_only = PQparameterStatus(connection, "default_transaction_read_only");
    return is_read_only != nullptr && std::string_view(is_read_only) == "on"
               ? ServerRole::read_only_primary
               : ServerRole::primary;
}

/// Queries what the connection has committed, for SessionConsistency::set_cookie(). Call it after
/// COMMIT, outside of a transaction. It blocks for one round trip. The thread that uses the
/// connection.
/// @param connection open and idle
/// @return nothing on an error, or on a standby, which has committed nothing
inline std::optional<Position> committed_position(PGconn* connection) {
    const detail::LibpqResult result(PQexec(connection, kCommittedPositionSql));
    const auto row = detail::first_row<CommittedRow>(result.get());
    return row ? parse_committed(*row) : std::nullopt;
}

/// Queries the position of a primary or standby. It blocks for one round trip. The thread that uses
/// the connection.
/// @param connection open and idle
/// @return nothing on an error
inline std::optional<ReplicaPosition> replica_position(PGconn* connection) {
    const detail::LibpqResult result(PQexec(connection, kReplicaPositionSql));
    const auto row = detail::first_row<ReplicaRow>(result.get());
    return row ? parse_replica(*row) : std::nullopt;
}

/// Checks right after connecting whether this is the server that RegionalUrl meant. It blocks for
/// one round trip. The thread that uses the connection.
/// @param connection open and idle
/// @param is_replica RegionalUrl::is_replica
/// @param primary_system_id of the primary, if known
/// @return a warning to log, if any; nothing if the server does not answer
inline std::optional<RoleCheck> verify_role(PGconn* connection, bool is_replica,
                                            std::optional<std::uint64_t> primary_system_id = {}) {
    const auto found = replica_position(connection);
    if (!found) return std::nullopt;
    return check_role(is_replica, *found, primary_system_id);
}

/// Queries the replica over a connection of its own, for at most two timeouts. PostgreSQL 19 and
/// newer wait themselves (WAIT FOR LSN), for at most one timeout more. One thread.
class LibpqPositionSource : public PositionSource {
  public:
    /// @param url connection string of the replica
    /// @param timeout for connecting and for each query, in milliseconds
    explicit LibpqPositionSource(std::string url,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(1))
        : url_(std::move(url)), timeout_(timeout) {}

    std::optional<ReplicaPosition> ask() override {
        if (connection_) {
            const Answer answer = run(kReplicaPositionSql, timeout_);
            if (auto position = position_of(answer)) return position;
            connection_.reset();
            // A connection that died while it was idle gets a second chance, a silent server none.
            if (answer.is_late) return std::nullopt;
        }
        if (connect()) {
            if (auto position = position_of(run(kReplicaPositionSql, timeout_))) return position;
        }
        connection_.reset();
        return std::nullopt;
    }

    std::optional<ReplicaPosition> wait_for(const Position& seen,
                                            std::chrono::milliseconds wait_max) override {
        if (can_wait()) {
            const Answer waited = run(wait_for_lsn_sql(seen.lsn, wait_max), wait_max + timeout_);
            if (waited.is_late) {
                connection_.reset();
                return std::nullopt;
            }
            // What it answers does not matter: the position is queried anyway. An error means that
            // this server cannot wait, whatever its version says.
            can_wait_ = PQresultStatus(waited.result.get()) == PGRES_TUPLES_OK;
        }
        return ask();
    }

    int socket() const override { return connection_ ? PQsocket(connection_.get()) : -1; }

  private:
    using Clock = std::chrono::steady_clock;
    struct Answer {
        detail::LibpqResult result;  ///< the last
        bool is_late = false;
    };
    struct Finish {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };

    bool connect() {
        can_wait_ = true;
        const auto deadline = Clock::now() + timeout_;
        // What the url says comes last and wins. The keepalives notice within about five seconds a
        // server that lost its power, and before it can be up again.
        const char* names[] = {"application_name", "keepalives_idle", "keepalives_interval",
                               "keepalives_count", "dbname",          nullptr};
        const char* values[] = {"homeward-replay", "2", "1", "3", url_.c_str(), nullptr};
        connection_.reset(PQconnectStartParams(names, values, 1));
        PostgresPollingStatusType state = PGRES_POLLING_WRITING;
        while (PQstatus(connection_.get()) != CONNECTION_BAD) {
            if (state == PGRES_POLLING_OK) return true;
            if (state == PGRES_POLLING_FAILED) return false;
            if (!wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) return false;
            state = PQconnectPoll(connection_.get());
        }
        return false;
    }

    std::optional<ReplicaPosition> position_of(const Answer& answer) const {
        const auto row = detail::first_row<ReplicaRow>(answer.result.get());
        std::optional<ReplicaPosition> position = row ? parse_replica(*row) : std::nullopt;
        const bool is_primary = position && position->role == ServerRole::primary;
        // A full disk makes a primary read-only; the row does not say so.
        if (is_primary && server_role(connection_.get()) == ServerRole::read_only_primary) {
            position->role = ServerRole::read_only_primary;
        }
        return position;
    }

    /// By its version first; then it is tried, once per connection. Not inside a transaction, where
    /// it is an error: this connection never begins one, but a pooler's server may be in one.
    bool can_wait() const {
        return connection_ && can_wait_ &&
               PQserverVersion(connection_.get()) >= kWaitForLsnVersion &&
               PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
    }

    Answer run(const std::string& sql, std::chrono::milliseconds time) {
        const auto deadline = Clock::now() + time;
        Answer answer;
        if (PQsendQuery(connection_.get(), sql.c_str()) != 1) return answer;
        while (true) {
            if (PQconsumeInput(connection_.get()) != 1) return {};
            if (PQisBusy(connection_.get()) != 0) {
                if (!wait(POLLIN, deadline)) return {nullptr, true};
                continue;
            }
            detail::LibpqResult result(PQgetResult(connection_.get()));
            if (!result) return answer;
            answer.result = std::move(result);
        }
    }

    /// False when the time is over.
    bool wait(short events, Clock::time_point deadline) const {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd file{PQsocket(connection_.get()), events, 0};
        return left.count() > 0 && poll(&file, 1, static_cast<int>(left.count()) + 1) != 0;
    }

    const std::string url_;
    const std::chrono::milliseconds timeout_;
    std::unique_ptr<PGconn, Finish> connection_;
    bool can_wait_ = true;
};

/// Makes a LibpqPositionSource, for HelperOptions::position_source. Any thread.
/// @param url connection string of the replica
/// @return not yet connected
inline std::unique_ptr<PositionSource> libpq_position_source(const std::string& url) {
    return std::make_unique<LibpqPositionSource>(url);
}

/// Call it after COMMIT, outside of a transaction: nobody is told to send the request again, and
/// the session reads its own write. With keys it blocks for one round trip. The thread that uses
/// the connection.
/// @param helper signs the token
/// @param connection open and idle
/// @param result of the handler that committed
inline void note_commit(const Helper& helper, PGconn* connection, HandlerResult& result) {
    result.has_committed = true;
    if (helper.reads() == nullptr) return;
    if (const auto seen = committed_position(connection)) helper.remember(*seen, result);
}

}  // namespace homeward::replay
