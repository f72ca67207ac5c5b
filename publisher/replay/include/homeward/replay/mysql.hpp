#pragma once

/// @file
/// Errors of MySQL and MariaDB as causes, for any client library. Header only, without a
/// dependency. Pure; any thread.

#include <cstdint>
#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

/// Whose error it is.
enum class MysqlServer : std::uint8_t {
    unknown,  ///< one of the two: a code that both use is what it means to the one with a rule
    mysql,    ///< and what has its codes, as Percona Server
    mariadb,  ///< its version says so: "10.11.6-MariaDB"
};

namespace detail {

inline constexpr std::string_view kMysqlServer = "MySQL 8.0.27, mysqld_error.h";
inline constexpr std::string_view kMysqlClient = "MySQL 8.0.27, errmsg.h";
inline constexpr std::string_view kMariadbServer = "MariaDB 10.11.19, mysqld_error.h";
/// The first of the codes that both servers use for errors of their own.
inline constexpr unsigned kMysqlOwnCodes = 4000;

}  // namespace detail

/// Codes with a rule. A code below 4000 has one meaning: in both servers, or in the only one that
/// uses it. From 4000 on each server has its own, and a rule is for that of its source: MySQL's
/// 4031 is a trigger that does not exist in MariaDB.
inline constexpr CodedCause<unsigned> kMysqlCauses[] = {
    // Also of --secure-file-priv and the like, which only the message tells apart. decide() makes
    // the app's own error of it where the server's role is known to be primary.
    {1290, "ER_OPTION_PREVENTS_STATEMENT", Cause::read_only, detail::kMysqlServer},
    // Of START TRANSACTION READ ONLY and of transaction_read_only, as PostgreSQL's 25006.
    {1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", Cause::read_only, detail::kMysqlServer},
    {1836, "ER_READ_ONLY_MODE", Cause::read_only, detail::kMysqlServer},
    {1874, "ER_INNODB_READ_ONLY", Cause::read_only, detail::kMysqlServer},
    // Group Replication refuses the COMMIT and rolls back: a member without its majority.
    {3100, "ER_RUN_HOOK_ERROR", Cause::read_only, detail::kMysqlServer},

    {1049, "ER_BAD_DB_ERROR", Cause::unknown_name, detail::kMysqlServer},
    {1054, "ER_BAD_FIELD_ERROR", Cause::unknown_name, detail::kMysqlServer},
    {1146, "ER_NO_SUCH_TABLE", Cause::unknown_name, detail::kMysqlServer},
    {1305, "ER_SP_DOES_NOT_EXIST", Cause::unknown_name, detail::kMysqlServer},
    {4091, "ER_UNKNOWN_SEQUENCES", Cause::unknown_name, detail::kMariadbServer},

    {1020, "ER_CHECKREAD", Cause::conflict, detail::kMysqlServer},
    {1205, "ER_LOCK_WAIT_TIMEOUT", Cause::conflict, detail::kMysqlServer},
    {1213, "ER_LOCK_DEADLOCK", Cause::conflict, detail::kMysqlServer},
    {1614, "ER_XA_RBDEADLOCK", Cause::conflict, detail::kMysqlServer},
    {3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", Cause::conflict, detail::kMysqlServer},

    {1040, "ER_CON_COUNT_ERROR", Cause::connection, detail::kMysqlServer},
    // Galera: the node is not ready for queries.
    {1047, "ER_UNKNOWN_COM_ERROR", Cause::connection, detail::kMysqlServer},
    {1053, "ER_SERVER_SHUTDOWN", Cause::connection, detail::kMysqlServer},
    {1129, "ER_HOST_IS_BLOCKED", Cause::connection, detail::kMysqlServer},
    {1927, "ER_CONNECTION_KILLED", Cause::connection, detail::kMariadbServer},
    {2002, "CR_CONNECTION_ERROR", Cause::connection, detail::kMysqlClient},
    {2003, "CR_CONN_HOST_ERROR", Cause::connection, detail::kMysqlClient},
    {2005, "CR_UNKNOWN_HOST", Cause::connection, detail::kMysqlClient},
    {2006, "CR_SERVER_GONE_ERROR", Cause::connection, detail::kMysqlClient},
    {2012, "CR_SERVER_HANDSHAKE_ERR", Cause::connection, detail::kMysqlClient},
    {3032, "ER_SERVER_OFFLINE_MODE", Cause::connection, detail::kMysqlServer},
    {3168, "ER_SERVER_ISNT_AVAILABLE", Cause::connection, detail::kMysqlServer},
    {3169, "ER_SESSION_WAS_KILLED", Cause::connection, detail::kMysqlServer},
    {4031, "ER_CLIENT_INTERACTION_TIMEOUT", Cause::connection, detail::kMysqlServer},

    // The statement was sent, and no answer came. A COMMIT, and without BEGIN any write, may be
    // done. RequestHandler treats a read's as a lost connection.
    {2013, "CR_SERVER_LOST", Cause::outcome_unknown, detail::kMysqlClient},
    {2055, "CR_SERVER_LOST_EXTENDED", Cause::outcome_unknown, detail::kMysqlClient},

    // SQLSTATE 08S01, but the app's own: sent again, the packet is as large.
    {1153, "ER_NET_PACKET_TOO_LARGE", Cause::other, detail::kMysqlServer},
};

namespace detail {

constexpr bool is_rule_of(const CodedCause<unsigned>& rule, MysqlServer server) {
    if (rule.code < kMysqlOwnCodes || server == MysqlServer::unknown) return true;
    return (server == MysqlServer::mariadb) == (rule.source == kMariadbServer);
}

}  // namespace detail

/// What an error of MySQL or MariaDB means. Any thread.
/// @param code of mysql_errno(); 0 for no error
/// @param sqlstate of mysql_sqlstate(), or "": it decides about codes without a rule
/// @param server decides about codes that both servers use
/// @return Cause::other for an error without a rule
constexpr Cause cause_of_mysql(unsigned code, std::string_view sqlstate = {},
                               MysqlServer server = MysqlServer::unknown) {
    if (code == 0) return Cause::none;
    for (const auto& rule : kMysqlCauses) {
        if (rule.code == code && detail::is_rule_of(rule, server)) return rule.cause;
    }
    if (sqlstate == "25006") return Cause::read_only;
    if (sqlstate == "40001") return Cause::conflict;
    if (sqlstate == "42S02" || sqlstate == "42S22") return Cause::unknown_name;
    return sqlstate.substr(0, 2) == "08" ? Cause::connection : Cause::other;
}

}  // namespace homeward::replay
