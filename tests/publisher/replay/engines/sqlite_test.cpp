// Method: a real SQLite whose file may not be written: opened read-only, by query_only, and with
// system calls that fail as LiteFS makes them fail on a replica (EACCES for a new journal and for
// what is written to the write-ahead log). LiteFS itself needs FUSE and is not run.

#include <homeward/replay/decide.hpp>
#include <homeward/replay/sqlite.hpp>

#include <sqlite3.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/temp_dir.hpp"

using namespace homeward::replay;
using homeward::testing::TempDir;

namespace {

const char* const kWrites[] = {
    "INSERT INTO note VALUES (2, 2)",
    "INSERT OR IGNORE INTO note VALUES (4, 4)",
    "REPLACE INTO note VALUES (1, 1)",
    "INSERT INTO note VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 2",
    "INSERT INTO note VALUES (3, 3) RETURNING id",
    "UPDATE note SET n = 2",
    "DELETE FROM note",
    "CREATE TABLE fresh (n int)",
    "CREATE INDEX note_n ON note (n)",
    "ALTER TABLE note ADD COLUMN more int",
    "DROP TABLE note",
    "CREATE VIEW seen AS SELECT 1",
    "PRAGMA user_version = 7",
};

/// One connection. Statements give the extended result code.
class Database {
  public:
    explicit Database(const std::string& path,
                      int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
        sqlite3* opened = nullptr;
        const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
        handle_.reset(opened);
        if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(opened));
        sqlite3_extended_result_codes(opened, 1);
    }
    int run(const std::string& sql) const {
        return sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    }

  private:
    struct Close {
        void operator()(sqlite3* handle) const { sqlite3_close(handle); }
    };
    std::unique_ptr<sqlite3, Close> handle_;
};

bool is_replica = false;

int open_as_litefs(const char* path, int flags, int mode) {
    const std::string_view name(path);
    if (is_replica && name.ends_with("-journal") && (flags & O_CREAT) != 0) {
        errno = EACCES;
        return -1;
    }
    return ::open(path, flags, mode);
}

ssize_t write_as_litefs(int file, const void* bytes, std::size_t size, off_t at) {
    if (is_replica) {
        errno = EACCES;
        return -1;
    }
    return ::pwrite(file, bytes, size, at);
}

/// While it lives, SQLite's files are on a replica of LiteFS.
class Replica {
  public:
    Replica() {
        set("open", reinterpret_cast<sqlite3_syscall_ptr>(open_as_litefs));
        set("pwrite", reinterpret_cast<sqlite3_syscall_ptr>(write_as_litefs));
        set("pwrite64", reinterpret_cast<sqlite3_syscall_ptr>(write_as_litefs));
        is_replica = true;
    }
    ~Replica() {
        is_replica = false;
        for (const char* name : {"open", "pwrite", "pwrite64"}) set(name, nullptr);
    }

  private:
    static void set(const char* name, sqlite3_syscall_ptr call) {
        sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
        vfs->xSetSystemCall(vfs, name, call);
    }
};

std::string new_database(const TempDir& dir, const char* journal) {
    const std::string path = (dir / "shop.db").string();
    const Database database(path);
    if (database.run(std::string("PRAGMA journal_mode = ") + journal +
                     "; CREATE TABLE note (id int PRIMARY KEY, n int);"
                     "INSERT INTO note VALUES (1, 1)") != SQLITE_OK) {
        throw std::runtime_error("no database");
    }
    return path;
}

Verdict verdict_of(int code) {
    Situation situation;
    situation.method = "POST";
    situation.cause = cause_of_sqlite(code);
    situation.has_handler_run = true;
    return decide(situation, {"scl", "ams"}).verdict;
}

void check_refused(const Database& database, int wanted) {
    for (const char* sql : kWrites) {
        const int code = database.run(sql);
        INFO(sql << ": " << code);
        CHECK(code == wanted);
        CHECK(cause_of_sqlite(code) == Cause::read_only);
        CHECK(verdict_of(code) == Verdict::replay);
    }
    CHECK(database.run("SELECT * FROM note") == SQLITE_OK);
}

}  // namespace

TEST_CASE("each write to a file that is opened read-only is replayed") {
    for (const char* journal : {"delete", "wal"}) {
        const TempDir dir;
        const std::string path = new_database(dir, journal);
        check_refused(Database(path, SQLITE_OPEN_READONLY), SQLITE_READONLY);
        const Database by_choice(path);
        by_choice.run("PRAGMA query_only = on");
        check_refused(by_choice, SQLITE_READONLY);
    }
}

TEST_CASE("each write on a LiteFS replica is replayed, with a rollback journal") {
    const TempDir dir;
    const std::string path = new_database(dir, "delete");
    const Replica replica;
    check_refused(Database(path), SQLITE_READONLY_DIRECTORY);
}

TEST_CASE("each write on a LiteFS replica is replayed, with a write-ahead log") {
    const TempDir dir;
    const std::string path = new_database(dir, "wal");
    const Database reader(path);
    REQUIRE(reader.run("SELECT * FROM note") == SQLITE_OK);
    const Replica replica;
    check_refused(reader, SQLITE_IOERR_WRITE);
}

TEST_CASE("on the primary the same writes are done, and errors are the app's") {
    const TempDir dir;
    const Database database(new_database(dir, "wal"));
    for (const char* sql : kWrites) {
        INFO(sql);
        if (std::string_view(sql) != "DROP TABLE note") CHECK(database.run(sql) == SQLITE_OK);
    }
    const int twice = database.run("INSERT INTO note (id) VALUES (1), (1)");
    CHECK(cause_of_sqlite(twice) == Cause::other);
    CHECK(verdict_of(twice) == Verdict::proceed);
    CHECK(verdict_of(database.run("SELECT * FROM nowhere")) == Verdict::proceed);
}

TEST_CASE("a writer that meets another is in conflict") {
    const TempDir dir;
    const std::string path = new_database(dir, "wal");
    const Database one(path);
    const Database two(path);
    REQUIRE(one.run("BEGIN IMMEDIATE; UPDATE note SET n = 2") == SQLITE_OK);
    CHECK(cause_of_sqlite(two.run("UPDATE note SET n = 3")) == Cause::conflict);
    REQUIRE(two.run("BEGIN; SELECT * FROM note") == SQLITE_OK);
    REQUIRE(one.run("COMMIT") == SQLITE_OK);
    const int code = two.run("UPDATE note SET n = 3");
    CHECK(code == SQLITE_BUSY_SNAPSHOT);
    CHECK(cause_of_sqlite(code) == Cause::conflict);
}
