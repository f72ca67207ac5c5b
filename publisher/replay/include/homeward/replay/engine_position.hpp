#pragma once

/// @file
/// Positions of other engines than PostgreSQL: the statements that ask for them, and parsers of
/// their answers. Pure; any thread. libmariadb.hpp and hiredis.hpp run the statements.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/position.hpp>

namespace homeward::replay {

/// A longer Position::text fits into no token.
inline constexpr std::size_t kPositionTextMax = 128;

/// Run it on MariaDB after COMMIT on the same connection. Any user may run it.
inline constexpr const char* kMariadbCommittedSql =
    "SELECT @@global.read_only, @@global.gtid_binlog_pos, @@last_gtid";
/// The position of a MariaDB replica, or of one that was promoted.
inline constexpr const char* kMariadbReplicaSql =
    "SELECT @@global.read_only, @@global.gtid_slave_pos, @@global.gtid_current_pos";
/// Run it on MySQL after COMMIT on the same connection, with gtid_mode = ON.
inline constexpr const char* kMysqlCommittedSql =
    "SELECT @@global.read_only, @@global.gtid_executed, @@server_uuid";
/// The position of a MySQL replica, or of one that was promoted. The last column is not read.
inline constexpr const char* kMysqlReplicaSql =
    "SELECT @@global.read_only, @@global.gtid_executed, @@server_uuid";

/// The columns of a row of the statements above as text; an empty view for NULL.
using GtidRow = std::array<std::string_view, 3>;

/// Parses the row of kMariadbCommittedSql. Any thread.
/// @param row its columns
/// @return all that the server has committed. Only this connection's last transaction if that is
///     too long. Nothing on a read-only server, or without a binary log
std::optional<Position> parse_mariadb_committed(const GtidRow& row);
/// Parses the row of kMariadbReplicaSql. Any thread.
/// @param row its columns
/// @return nothing for another row
std::optional<ReplicaPosition> parse_mariadb_replica(const GtidRow& row);
/// Makes the statement that waits on a MariaDB replica. Any thread.
/// @param seen of parse_mariadb_committed()
/// @param wait_max_ms milliseconds
/// @return the statement, whose answer says nothing that kMariadbReplicaSql does not say; "" for
///     another engine's position
std::string mariadb_wait_sql(const Position& seen, std::uint32_t wait_max_ms);

/// Parses the row of kMysqlCommittedSql. Any thread.
/// @param row its columns
/// @return all that this server has committed. Nothing on a read-only server, without GTIDs, or if
///     the set is too long
std::optional<Position> parse_mysql_committed(const GtidRow& row);
/// Parses the row of kMysqlReplicaSql. Any thread.
/// @param row its columns
/// @return nothing for another row
std::optional<ReplicaPosition> parse_mysql_replica(const GtidRow& row);
/// Makes the statement that waits on a MySQL replica. Any thread.
/// @param seen of parse_mysql_committed()
/// @param wait_max_ms milliseconds
/// @return the statement; "" for another engine's position
std::string mysql_wait_sql(const Position& seen, std::uint32_t wait_max_ms);

/// Makes the position of MongoDB's cluster. Any thread.
/// @param seconds of operationTime in a write's reply; of a secondary, lastWrite.opTime.ts of hello
/// @param increment of the same timestamp
/// @return the position
Position mongodb_position(std::uint32_t seconds, std::uint32_t increment);

/// Parses INFO replication of a Redis primary, after a write on the same connection. Any thread.
/// @param info its text
/// @return nothing on a replica
std::optional<Position> parse_redis_committed(std::string_view info);
/// Parses INFO replication of a Redis replica, or of one that was promoted. Any thread.
/// @param info its text
/// @return nothing for another text, or before its first synchronization
std::optional<ReplicaPosition> parse_redis_replica(std::string_view info);

/// A replica's position, against one that a session has seen.
enum class Reach : std::uint8_t {
    reached,
    before,
    elsewhere,  ///< of another history
};
/// Compares positions of the same engine, but for PostgreSQL's. Any thread.
/// @param replica its position
/// @param seen of a token
/// @return elsewhere also for a text that is no position
Reach reach_of(const Position& replica, const Position& seen);

}  // namespace homeward::replay
