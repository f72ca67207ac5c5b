#pragma once

/// @file
/// A database's position in its history: the SQL statements that ask for it, and parsers of their
/// row. Pure; any thread. libpq.hpp and libpqxx.hpp run the statements.

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/engine.hpp>
#include <homeward/replay/lsn.hpp>

namespace homeward::replay {

/// A point in the history of one database cluster. Two of PostgreSQL are on one line only if they
/// are of the same system and timeline.
struct Position {
    std::uint64_t system_id = 0;  ///< made by initdb; a replica and a physical backup have the same
    std::uint32_t timeline = 0;   ///< one more after each promotion
    Lsn lsn = 0;                  ///< in bytes
    /// Another engine has `text` instead (engine_position.hpp).
    Engine engine = Engine::postgresql;
    std::string text{};  ///< GTIDs, a time, a replication id with its offset

    /// Whether all parts are equal.
    friend bool operator==(const Position&, const Position&) = default;
};

/// What a replica has replayed, or, when it was promoted, what it has written.
struct ReplicaPosition {
    Position at;                            ///< where it is
    ServerRole role = ServerRole::unknown;  ///< what it is

    /// Whether position and role are equal.
    friend bool operator==(const ReplicaPosition&, const ReplicaPosition&) = default;
};

/// Run it after COMMIT on the same connection, outside of a transaction: all that the connection
/// has committed is then before this position, whatever `synchronous_commit` is. An error on a
/// standby, which has committed nothing. Any role may run it.
inline constexpr const char* kCommittedPositionSql =
    "SELECT s.system_identifier, pg_walfile_name(i.lsn), i.lsn, current_setting('wal_block_size'),"
    " pg_size_bytes(current_setting('wal_segment_size'))"
    " FROM pg_control_system() s, (SELECT pg_current_wal_insert_lsn() AS lsn OFFSET 0) i";

/// The timeline of a standby is the one that its control file proves: it may lag behind the real
/// one until the next restartpoint, never be ahead of it.
inline constexpr const char* kReplicaPositionSql =
    "SELECT s.system_identifier, r.is_standby,"
    " CASE WHEN r.is_standby"
    " THEN greatest(c.timeline_id, m.min_recovery_end_timeline)::text"
    " ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,"
    " CASE WHEN r.is_standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END"
    " FROM pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() m,"
    " (SELECT pg_is_in_recovery() AS is_standby OFFSET 0) r";

/// The first PostgreSQL with WAIT FOR LSN, as PQserverVersion() has it.
inline constexpr int kWaitForLsnVersion = 190000;
/// Makes the statement that waits on a standby until it has replayed a position. It compares no
/// timelines, must run outside of a transaction, and answers "success", "timeout" or "not in
/// recovery". Any thread.
/// @param lsn the position
/// @param wait_max milliseconds, at least one
/// @return the statement
std::string wait_for_lsn_sql(Lsn lsn, std::chrono::milliseconds wait_max);

/// The columns of kCommittedPositionSql's row as text; an empty view for NULL.
using CommittedRow = std::array<std::string_view, 5>;
/// The columns of kReplicaPositionSql's row as text; an empty view for NULL.
using ReplicaRow = std::array<std::string_view, 4>;

/// Parses the row of kCommittedPositionSql. Any thread.
/// @param row its columns
/// @return the position for a token, rounded down by end_of_record(); nothing for another row
std::optional<Position> parse_committed(const CommittedRow& row);
/// Parses the row of kReplicaPositionSql. Any thread.
/// @param row its columns
/// @return nothing for another row
std::optional<ReplicaPosition> parse_replica(const ReplicaRow& row);

}  // namespace homeward::replay
