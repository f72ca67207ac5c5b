#include "tests/support/servers/postgres_server.hpp"

#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

std::filesystem::path bin_dir() {
    std::vector<std::filesystem::path> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
        if (std::filesystem::exists(entry.path() / "bin/initdb"))
            found.push_back(entry.path() / "bin");
    }
    if (found.empty()) throw std::runtime_error("no PostgreSQL server in /usr/lib/postgresql");
    return *std::max_element(found.begin(), found.end());
}

ProcessOptions as_postgres(const std::filesystem::path& log = {}) {
    ProcessOptions options;
    options.drop_privileges = true;
    options.log = log;
    return options;
}

void check(const CommandResult& result, const std::string& what) {
    if (result.exit_code != 0) throw std::runtime_error(what + ":\n" + result.output);
}

void run(const std::vector<std::string>& command) {
    check(run_command(command, as_postgres()), command[0]);
}

/// A data directory as initdb leaves it, made once per build directory: a copy takes a tenth of the
/// time. Servers that another user starts have their own.
std::filesystem::path initialized_data() {
    namespace fs = std::filesystem;
    const std::string version = bin_dir().parent_path().filename();
    const fs::path data = fs::path(HOMEWARD_TEST_CACHE) /
                          ("postgresql-" + version + "-uid-" + std::to_string(::getuid()));
    if (fs::exists(data)) return data;
    const TempDir made;
    give_to_postgres(made.path());
    run({bin_dir() / "initdb", "-D", made / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--no-sync"});
    // Renamed when it is whole; several tests may be here at once.
    const fs::path copy = data.string() + "." + std::to_string(::getpid());
    fs::create_directories(data.parent_path());
    check(run_command({"cp", "-a", made / "data", copy}), "cp");
    std::error_code exists;
    fs::rename(copy, data, exists);
    if (exists) fs::remove_all(copy);
    return data;
}

/// A system identifier of its own, by which the consumer tells leaders apart.
void renew_system_identifier(const std::filesystem::path& data) {
    std::random_device random;
    const std::uint64_t identifier = (std::uint64_t{random()} << 32 | random()) >> 1;
    std::fstream control(data / "global/pg_control",
                         std::ios::in | std::ios::out | std::ios::binary);
    control.write(reinterpret_cast<const char*>(&identifier), sizeof identifier);
    control.close();
    run({bin_dir() / "pg_resetwal", "-f", "-D", data});  // with a right checksum, and new WAL
}

}  // namespace

void give_to_postgres(const std::filesystem::path& path) {
    if (::getuid() != 0) return;
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr || ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
        throw std::runtime_error("cannot give " + path.string() + " to user postgres");
    }
}

PostgresServer::PostgresServer(const std::vector<std::string>& settings) : port_(free_port()) {
    give_to_postgres(dir_.path());
    check(run_command({"cp", "-a", initialized_data(), dir_ / "data"}), "cp");
    renew_system_identifier(dir_ / "data");
    configure(settings);
    start();
}

std::unique_ptr<PostgresServer> PostgresServer::standby_of(const PostgresServer& leader, int port) {
    std::unique_ptr<PostgresServer> standby(new PostgresServer(Standby{}));
    give_to_postgres(standby->dir_.path());
    run({bin_dir() / "pg_basebackup", "-D", standby->dir_ / "data", "-R", "--checkpoint=fast",
         "--no-sync", "-d", leader.url()});
    standby->configure({"primary_conninfo = 'host=127.0.0.1 user=postgres port=" +
                        std::to_string(port == 0 ? leader.port() : port) + "'"});
    // pg_basebackup -R has written its own there, and that file is read last.
    std::filesystem::resize_file(standby->dir_ / "data/postgresql.auto.conf", 0);
    standby->start();
    return standby;
}

PostgresServer::~PostgresServer() {
    thaw();
    if (process_.is_running()) process_.stop(10s, SIGQUIT);
}

void PostgresServer::configure(const std::vector<std::string>& settings) {
    std::ofstream conf(dir_ / "data/postgresql.conf", std::ios::app);
    conf << "\nlisten_addresses = '127.0.0.1'\nport = " << port_
         << "\nunix_socket_directories = ''\nfsync = off\nmax_wal_senders = 10\n"
            "wal_level = replica\nmax_connections = 100\n"
            // In its own directory, not in /dev/shm: a server that is killed leaves it behind.
            "dynamic_shared_memory_type = mmap\n";
    for (const std::string& line : settings) conf << line << "\n";
}

void PostgresServer::start() {
    std::error_code ignored;
    std::filesystem::remove(dir_ / "data/postmaster.pid", ignored);
    process_ = Process({bin_dir() / "postgres", "-D", dir_ / "data"}, as_postgres(dir_ / "log"));
    const bool up = wait_until(60s, [this] {
        try {
            query("SELECT 1");
            return true;
        } catch (const std::runtime_error&) {
            return !process_.is_running();
        }
    });
    if (!up || !process_.is_running()) {
        throw std::runtime_error("PostgreSQL did not start:\n" + read_file(dir_ / "log"));
    }
}

void PostgresServer::stop() {
    process_.stop(20s, SIGINT);
}
void PostgresServer::kill() {
    std::istringstream children(
        run_command({"pgrep", "-P", std::to_string(process_.pid())}).output);
    process_.kill();
    // They notice that their postmaster is gone; another must not begin on the same files before.
    for (pid_t child = 0; children >> child;) {
        wait_until(30s, [child] { return ::kill(child, 0) != 0; });
    }
}
void PostgresServer::freeze() {
    run_command({"pkill", "-STOP", "-P", std::to_string(process_.pid())});
    process_.signal(SIGSTOP);
}
void PostgresServer::thaw() {
    if (process_.pid() <= 0) return;
    process_.signal(SIGCONT);
    run_command({"pkill", "-CONT", "-P", std::to_string(process_.pid())});
}

void PostgresServer::promote() {
    query("SELECT pg_promote()");
}

void PostgresServer::back_up() {
    run({bin_dir() / "pg_basebackup", "-D", dir_ / "backup", "--checkpoint=fast", "--no-sync", "-d",
         url()});
}

void PostgresServer::restore() {
    if (process_.is_running()) process_.stop(10s, SIGQUIT);
    std::filesystem::remove_all(dir_ / "data");
    std::filesystem::rename(dir_ / "backup", dir_ / "data");
}

void PostgresServer::require_password(const std::string& user, const std::string& password) {
    query("ALTER ROLE " + user + " PASSWORD '" + password + "'");
    const std::string rules = read_file(dir_ / "data/pg_hba.conf");
    std::ofstream(dir_ / "data/pg_hba.conf")
        << "host all " << user << " 127.0.0.1/32 scram-sha-256\n"
        << rules;
    query("SELECT pg_reload_conf()");
    wait_until(30s, [&] {
        PGconn* connection = PQconnectdb(url(user).c_str());
        const bool is_in = PQstatus(connection) == CONNECTION_OK;
        PQfinish(connection);
        return !is_in;
    });
}

std::string PostgresServer::url(const std::string& user) const {
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/postgres";
}

Rows PostgresServer::query(const std::string& sql) const {
    return query_at(url(), sql);
}

Rows query_at(const std::string& url, const std::string& sql) {
    PGconn* connection = PQconnectdb(url.c_str());
    PGresult* result =
        PQstatus(connection) == CONNECTION_OK ? PQexec(connection, sql.c_str()) : nullptr;
    const ExecStatusType status = PQresultStatus(result);
    Rows rows;
    std::string error;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        error = PQerrorMessage(connection);
    }
    for (int row = 0; row < PQntuples(result); ++row) {
        rows.emplace_back();
        for (int column = 0; column < PQnfields(result); ++column) {
            rows.back().emplace_back(PQgetvalue(result, row, column));
        }
    }
    PQclear(result);
    PQfinish(connection);
    if (!error.empty()) throw std::runtime_error(error);
    return rows;
}

std::int64_t PostgresServer::number(const std::string& sql) const {
    return std::strtoll(query(sql).at(0).at(0).c_str(), nullptr, 10);
}

}  // namespace homeward::testing
