#pragma once

/// @file
/// SQLite's result codes as causes, for a database that LiteFS replicates. Header only, without a
/// dependency. Pure; any thread.

#include <initializer_list>
#include <string_view>

#include <homeward/replay/cause.hpp>

namespace homeward::replay {

namespace detail {

inline constexpr std::string_view kSqlite = "SQLite 3.40.1, sqlite3.h";

}  // namespace detail

/// Extended result codes with a rule. A code of one byte stands for its whole family, but for those
/// that have a row of their own.
inline constexpr CodedCause<int> kSqliteCauses[] = {
    // LiteFS on a replica, rollback journal: SQLITE_READONLY_DIRECTORY (1544), of this family.
    {8, "SQLITE_READONLY", Cause::read_only, detail::kSqlite},
    {1032, "SQLITE_READONLY_DBMOVED", Cause::connection, detail::kSqlite},
    // LiteFS on a replica, write-ahead log. A failing disk says the same.
    {778, "SQLITE_IOERR_WRITE", Cause::read_only, detail::kSqlite},

    {5, "SQLITE_BUSY", Cause::conflict, detail::kSqlite},
    {6, "SQLITE_LOCKED", Cause::conflict, detail::kSqlite},

    {14, "SQLITE_CANTOPEN", Cause::connection, detail::kSqlite},
};

/// What a result code of SQLite means. Any thread.
/// @param extended_code of sqlite3_extended_errcode(); SQLITE_OK, SQLITE_ROW and SQLITE_DONE are no
///     errors
/// @return Cause::other for a code without a rule
constexpr Cause cause_of_sqlite(int extended_code) {
    constexpr int kRow = 100;
    constexpr int kDone = 101;
    if (extended_code == 0 || extended_code == kRow || extended_code == kDone) return Cause::none;
    for (const int code : {extended_code, extended_code & 0xff}) {
        for (const auto& known : kSqliteCauses) {
            if (known.code == code) return known.cause;
        }
    }
    return Cause::other;
}

}  // namespace homeward::replay
