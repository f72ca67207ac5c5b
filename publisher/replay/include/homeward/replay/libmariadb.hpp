#pragma once

/// @file
/// The replay helper for MariaDB's C client, which speaks to MySQL too. Header only: only its users
/// need libmariadb.

#include <mysql.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/helper.hpp>
#include <homeward/replay/mysql.hpp>
#include <homeward/replay/position_source.hpp>
#include <homeward/replay/url_parts.hpp>

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

/// The three columns of the statements in engine_position.hpp; nothing on an error.
template <typename Parse>
auto parse_first_row(MYSQL* connection, const char* sql, Parse parse)
    -> decltype(parse(GtidRow())) {
    const MysqlRow found = first_row(connection, sql, 3);
    if (found.row == nullptr) return std::nullopt;
    return parse(GtidRow{found.column(0), found.column(1), found.column(2)});
}

struct CloseMysql {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
};
using MysqlConnection = std::unique_ptr<MYSQL, CloseMysql>;

inline bool is_mariadb(MYSQL* connection) {
    const char* version = mysql_get_server_info(connection);
    return version != nullptr &&
           std::string_view(version).find("MariaDB") != std::string_view::npos;
}

/// A connection that was never open has no version.
inline MysqlServer server_of(MYSQL* connection) {
    if (connection == nullptr || mysql_get_server_info(connection) == nullptr) {
        return MysqlServer::unknown;
    }
    return is_mariadb(connection) ? MysqlServer::mariadb : MysqlServer::mysql;
}

}  // namespace detail

/// What the last call's error means, for HandlerResult::cause and Situation::cause. The thread that
/// uses the connection.
/// @param connection of mysql_init()
/// @return Cause::none if it was no error; Cause::connection for any failed mysql_real_connect()
inline Cause cause_of(MYSQL* connection) {
    const unsigned code = mysql_errno(connection);
    const Cause cause =
        cause_of_mysql(code, mysql_sqlstate(connection), detail::server_of(connection));
    // Lost while it was opened (2013): no statement was sent.
    const bool is_unused = mysql_thread_id(connection) == 0;
    return is_unused && cause == Cause::outcome_unknown ? Cause::connection : cause;
}

/// The same for a prepared statement.
/// @param statement of mysql_stmt_init()
/// @return Cause::none if the last call was no error
inline Cause cause_of(MYSQL_STMT* statement) {
    return cause_of_mysql(mysql_stmt_errno(statement), mysql_stmt_sqlstate(statement),
                          detail::server_of(statement->mysql));
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

/// Queries what the server has committed, for SessionConsistency::set_cookie(). Call it after
/// COMMIT, outside of a transaction. It blocks for one round trip. The thread that uses the
/// connection.
/// @param connection open and idle
/// @return nothing on an error, on a read-only server, or on one without GTIDs
inline std::optional<Position> committed_position(MYSQL* connection) {
    return detail::is_mariadb(connection)
               ? detail::parse_first_row(connection, kMariadbCommittedSql, parse_mariadb_committed)
               : detail::parse_first_row(connection, kMysqlCommittedSql, parse_mysql_committed);
}

/// Queries the position of a leader or replica. It blocks for one round trip. The thread that uses
/// the connection.
/// @param connection open and idle
/// @return nothing on an error
inline std::optional<ReplicaPosition> replica_position(MYSQL* connection) {
    return detail::is_mariadb(connection)
               ? detail::parse_first_row(connection, kMariadbReplicaSql, parse_mariadb_replica)
               : detail::parse_first_row(connection, kMysqlReplicaSql, parse_mysql_replica);
}

/// Call it after COMMIT, outside of a transaction: nobody is told to send the request again, and
/// the session reads its own write. With keys it blocks for one round trip. The thread that uses
/// the connection.
/// @param helper signs the token
/// @param connection open and idle
/// @param result of the handler that committed
inline void note_commit(const Helper& helper, MYSQL* connection, HandlerResult& result) {
    result.has_committed = true;
    if (helper.reads() == nullptr) return;
    if (const auto seen = committed_position(connection)) helper.remember(*seen, result);
}

/// Queries the replica over a connection of its own, and lets it wait (MASTER_GTID_WAIT(),
/// WAIT_FOR_EXECUTED_GTID_SET()). One thread.
class LibmariadbPositionSource : public PositionSource {
  public:
    /// Makes a connection; nullptr if the server does not answer. Set MYSQL_OPT_CONNECT_TIMEOUT and
    /// MYSQL_OPT_READ_TIMEOUT to a second: the poller waits for it.
    using Connect = std::function<MYSQL*()>;

    /// @param connect called for each connection
    /// @param engine Engine::mariadb or Engine::mysql, as the URL has it; the server decides
    LibmariadbPositionSource(Connect connect, Engine engine)
        : connect_(std::move(connect)), engine_(engine) {}

    std::optional<ReplicaPosition> ask() override {
        const auto begin = Clock::now();
        const bool is_fresh = !connection_;
        if (is_fresh && !connect()) return std::nullopt;
        if (auto position = replica_position(connection_.get())) return position;
        connection_.reset();
        // A connection that died while it was idle gets a second chance, a silent server none.
        const bool is_silent = Clock::now() - begin > kSilence;
        if (is_fresh || is_silent || !connect()) return std::nullopt;
        auto position = replica_position(connection_.get());
        if (!position) connection_.reset();
        return position;
    }

    std::optional<ReplicaPosition> wait_for(const Position& seen,
                                            std::chrono::milliseconds wait_max) override {
        const auto begin = Clock::now();
        const auto wait_ms = static_cast<std::uint32_t>(wait_max.count());
        std::string sql;
        if (connection_) {
            sql = detail::is_mariadb(connection_.get()) ? mariadb_wait_sql(seen, wait_ms)
                                                        : mysql_wait_sql(seen, wait_ms);
        }
        // What it answers does not matter: the position is queried anyway.
        if (!sql.empty()) detail::first_row(connection_.get(), sql, 1);
        if (Clock::now() - begin < wait_max + kSilence) return ask();
        connection_.reset();
        return std::nullopt;
    }

    Engine engine() const override { return engine_; }
    int socket() const override {
        return connection_ ? static_cast<int>(mysql_get_socket(connection_.get())) : -1;
    }

  private:
    using Clock = std::chrono::steady_clock;
    /// Longer than a server needs that answers at all, and shorter than the timeouts.
    static constexpr std::chrono::milliseconds kSilence{500};

    bool connect() {
        connection_.reset(connect_());
        return connection_ != nullptr;
    }

    const Connect connect_;
    const Engine engine_;
    detail::MysqlConnection connection_;
};

/// Makes a LibmariadbPositionSource, for HelperOptions::position_source. Any thread.
/// @param url "mariadb://…" or "mysql://…" of the replica; its parameters are not read
/// @return not yet connected
/// @throws std::invalid_argument for another URL; what() repeats nothing of it
inline std::unique_ptr<PositionSource> libmariadb_position_source(const std::string& url) {
    const auto parts = parts_of_url(url);
    if (!parts || parts->engine == Engine::redis) {
        throw std::invalid_argument(
            "the replica's URL is not of the form \"mariadb://user:password@host:port/database\"");
    }
    const auto connect = [parts = *parts]() -> MYSQL* {
        const unsigned timeout_s = 1;
        detail::MysqlConnection connection(mysql_init(nullptr));
        for (const mysql_option option :
             {MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT}) {
            mysql_options(connection.get(), option, &timeout_s);
        }
        const bool is_open =
            mysql_real_connect(connection.get(), parts.host.c_str(), parts.user.c_str(),
                               parts.password.c_str(), nullptr, parts.port, nullptr, 0) != nullptr;
        return is_open ? connection.release() : nullptr;
    };
    return std::make_unique<LibmariadbPositionSource>(connect, parts->engine);
}

}  // namespace homeward::replay
