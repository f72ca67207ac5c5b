#pragma once

/// @file
/// The replay helper for libpqxx 6.4, 7 and 8. Header only: only its users need libpqxx. Where the
/// versions differ, this file asks the compiler, not the version's number.

#include <array>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <type_traits>
#include <utility>

#include <homeward/replay/helper.hpp>
#include <homeward/replay/position_source.hpp>
#include <homeward/replay/postgres.hpp>
#include <homeward/replay/role_check.hpp>

namespace homeward::replay {

namespace detail {

// 6.4 has several kinds of connection below one base; 7 and 8 have one.
#if PQXX_VERSION_MAJOR < 7
using PqxxConnection = pqxx::connection_base;
#else
using PqxxConnection = pqxx::connection;
#endif

/// What libpqxx says itself: sql_error up to 7, any failure from 8 on.
template <typename Failure = pqxx::failure>
std::string told_sqlstate(const std::exception& error) {
    if constexpr (requires(const Failure& failure) { failure.sqlstate(); }) {
        const auto* failure = dynamic_cast<const Failure*>(&error);
        return failure == nullptr ? "" : std::string(failure->sqlstate());
    } else {
        const auto* sql_error = dynamic_cast<const pqxx::sql_error*>(&error);
        return sql_error == nullptr ? "" : std::string(sql_error->sqlstate());
    }
}

/// What the class alone says: 6.4 leaves the text of some out, and has others that are no
/// sql_error. The derived before the base.
inline std::string class_sqlstate(const std::exception& error) {
    const auto is = [&](auto* type) {
        return dynamic_cast<std::remove_reference_t<decltype(*type)>*>(&error) != nullptr;
    };
    if (is(static_cast<const pqxx::insufficient_privilege*>(nullptr))) return "42501";
    if (is(static_cast<const pqxx::serialization_failure*>(nullptr))) return "40001";
    if (is(static_cast<const pqxx::deadlock_detected*>(nullptr))) return "40P01";
    if (is(static_cast<const pqxx::statement_completion_unknown*>(nullptr))) return "40003";
    if (is(static_cast<const pqxx::transaction_rollback*>(nullptr))) return "40000";
    if (is(static_cast<const pqxx::in_doubt_error*>(nullptr))) return "08007";
    if (is(static_cast<const pqxx::broken_connection*>(nullptr))) return "08006";
    return "";
}

template <typename Row>
std::optional<std::array<std::string, std::tuple_size_v<Row>>> first_row(PqxxConnection& connection,
                                                                         const char* sql) {
    pqxx::nontransaction statement(connection);
    const pqxx::result result = statement.exec(sql);
    std::array<std::string, std::tuple_size_v<Row>> row;
    if (result.size() != 1 || static_cast<std::size_t>(result.columns()) != row.size())
        return std::nullopt;
    for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = result[0][static_cast<int>(i)].template as<std::string>(std::string());
    }
    return row;
}

template <std::size_t N>
std::array<std::string_view, N> views_of(const std::array<std::string, N>& row) {
    std::array<std::string_view, N> views;
    std::copy(row.begin(), row.end(), views.begin());
    return views;
}

}  // namespace detail

/// The SQLSTATE of an exception; it looks into nested exceptions too. Any thread.
/// @param error what a handler threw
/// @return "" if it is not PostgreSQL's; "08006" for a lost connection, whatever ended it
inline std::string sqlstate_of(const std::exception& error) {
    std::string state = detail::told_sqlstate(error);
    if (state.empty()) state = detail::class_sqlstate(error);
    if (!state.empty()) return state;
    try {
        std::rethrow_if_nested(error);
    } catch (const std::exception& inner) {
        return sqlstate_of(inner);
    } catch (...) {
        // No std::exception, so not libpqxx's.
    }
    return "";
}

/// What an exception means, for RequestHandlerOptions::cause_of. Any thread.
/// @param error what a handler threw
/// @return Cause::none if it is not PostgreSQL's
inline Cause cause_of(const std::exception& error) {
    return cause_of_sqlstate(sqlstate_of(error));
}

/// cause_of() by a name that is not overloaded: `.cause_of = libpqxx_cause`. Any thread.
/// @param error what a handler threw
/// @return Cause::none if it is not PostgreSQL's
inline Cause libpqxx_cause(const std::exception& error) {
    return cause_of(error);
}

/// Queries what the connection has committed, for SessionConsistency::set_cookie(). Call it after
/// commit(), when the transaction object is destroyed. It blocks for one round trip. The thread
/// that uses the connection.
/// @param connection open, without a transaction
/// @return the position; nothing if the row is not as expected
/// @throws what libpqxx throws; on a standby a sql_error with 55000, as it has committed nothing
inline std::optional<Position> committed_position(detail::PqxxConnection& connection) {
    const auto row = detail::first_row<CommittedRow>(connection, kCommittedPositionSql);
    return row ? parse_committed(detail::views_of(*row)) : std::nullopt;
}

/// Queries the position of a primary or standby. It blocks for one round trip. The thread that uses
/// the connection.
/// @param connection open, without a transaction
/// @return the position; nothing if the row is not as expected
/// @throws what libpqxx throws
inline std::optional<ReplicaPosition> replica_position(detail::PqxxConnection& connection) {
    const auto row = detail::first_row<ReplicaRow>(connection, kReplicaPositionSql);
    return row ? parse_replica(detail::views_of(*row)) : std::nullopt;
}

/// Checks right after connecting whether this is the server that RegionalUrl meant. It blocks for
/// one round trip. The thread that uses the connection.
/// @param connection open, without a transaction
/// @param is_replica RegionalUrl::is_replica
/// @param primary_system_id of the primary, if known
/// @return a warning to log, if any
/// @throws what libpqxx throws
inline std::optional<RoleCheck> verify_role(detail::PqxxConnection& connection, bool is_replica,
                                            std::optional<std::uint64_t> primary_system_id = {}) {
    const auto found = replica_position(connection);
    if (!found) return std::nullopt;
    return check_role(is_replica, *found, primary_system_id);
}

/// Queries the role of the server. It blocks for one round trip. The thread that uses the
/// connection.
/// @param connection open, without a transaction
/// @return unknown if the row is not as expected
/// @throws what libpqxx throws
inline ServerRole server_role(detail::PqxxConnection& connection) {
    const auto row = detail::first_row<std::array<std::string_view, 1>>(
        connection,
        "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby'"
        " WHEN current_setting('default_transaction_read_only') = 'on' THEN 'read only' END");
    if (!row) return ServerRole::unknown;
    if (row->front() == "standby") return ServerRole::standby;
    return row->front().empty() ? ServerRole::primary : ServerRole::read_only_primary;
}

/// Call it after commit(), when the transaction object is destroyed: nobody is told to send the
/// request again, and the session reads its own write. With keys it blocks for one round trip. The
/// thread that uses the connection.
/// @param helper signs the token
/// @param connection open, without a transaction
/// @param result of the handler that committed
/// @throws what libpqxx throws
inline void note_commit(const Helper& helper, detail::PqxxConnection& connection,
                        HandlerResult& result) {
    result.has_committed = true;
    if (helper.reads() == nullptr) return;
    if (const auto seen = committed_position(connection)) helper.remember(*seen, result);
}

/// A connection of the calling thread to each database: opened at its first use, and again after it
/// was lost. For servers that handle a request on one thread.
/// @param url connection string
/// @return it lives as long as the thread, and until the next call for the same `url`
/// @throws what libpqxx throws
inline pqxx::connection& thread_connection(const std::string& url) {
    thread_local std::map<std::string, std::unique_ptr<pqxx::connection>> open;
    auto& found = open[url];
    if (found == nullptr || !found->is_open()) found = std::make_unique<pqxx::connection>(url);
    return *found;
}

}  // namespace homeward::replay
