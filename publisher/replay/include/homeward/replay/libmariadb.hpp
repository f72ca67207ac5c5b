#pragma once

/// @file
/// The replay helper for MariaDB's C client, which speaks to MySQL too. Header only: only its users
/// need libmariadb.

#include <mysql.h>

#include <memory>
#include <string_view>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/mysql.hpp>

namespace homeward::replay {

namespace detail {

struct FreeMysqlResult {
    void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using MysqlResult = std::unique_ptr<MYSQL_RES, FreeMysqlResult>;

/// The first row of a statement; nothing on an error. The row lives as long as the result.
struct MysqlRow {
    MysqlResult result;
    MYSQL_ROW row = nullptr;

    std::string_view column(unsigned index) const {
        return row[index] == nullptr ? std::string_view() : std::string_view(row[index]);
    }
};

inline MysqlRow first_row(MYSQL* connection, std::string_view sql, unsigned columns) {
    if (mysql_real_query(connection, sql.data(), static_cast<unsigned long>(sql.size())) != 0) {
        return {};
    }
    MysqlRow first{MysqlResult(mysql_store_result(connection))};
    if (first.result && mysql_num_fields(first.result.get()) == columns) {
        first.row = mysql_fetch_row(first.result.get());
    }
    return first;
}

inline bool is_mariadb(MYSQL* connection) {
    const char* version = mysql_get_server_info(connection);
    return version != nullptr &&
           std::string_view(version).find("MariaDB") != std::string_view::npos;
}

}  // namespace detail

/// What the last call's error means, for HandlerResult::cause and Situation::cause. The thread that
/// uses the connection.
/// @param connection of mysql_init()
/// @return Cause::none if it was no error; Cause::connection for any failed mysql_real_connect()
inline Cause cause_of(MYSQL* connection) {
    const unsigned code = mysql_errno(connection);
    const Cause cause = cause_of_mysql(code, mysql_sqlstate(connection));
    // Lost while it was opened (2013): no statement was sent.
    const bool is_unused = mysql_thread_id(connection) == 0;
    return is_unused && cause == Cause::outcome_unknown ? Cause::connection : cause;
}

/// The same for a prepared statement.
/// @param statement of mysql_stmt_init()
/// @return Cause::none if the last call was no error
inline Cause cause_of(MYSQL_STMT* statement) {
    return cause_of_mysql(mysql_stmt_errno(statement), mysql_stmt_sqlstate(statement));
}

/// Queries the role of the server, for HandlerResult::server_role. It blocks for one round trip.
/// The thread that uses the connection.
/// @param connection open and idle
/// @return standby for a read-only server that replicates, or has; any read-only server of MySQL;
///     unknown on an error
inline ServerRole server_role(MYSQL* connection) {
    const bool has_position = detail::is_mariadb(connection);
    const auto found =
        detail::first_row(connection,
                          has_position ? "SELECT @@global.read_only, @@global.gtid_slave_pos"
                                       : "SELECT @@global.read_only, 'unknown'",
                          2);
    if (found.row == nullptr) return ServerRole::unknown;
    if (found.column(0) == "0") return ServerRole::primary;
    return found.column(1).empty() ? ServerRole::read_only_primary : ServerRole::standby;
}

}  // namespace homeward::replay
