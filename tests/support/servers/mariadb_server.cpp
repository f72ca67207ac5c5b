#include "tests/support/servers/mariadb_server.hpp"

#include <mysql.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

const char* const kServer = "/usr/sbin/mariadbd";  // not in everybody's PATH

void check(const CommandResult& result, const std::string& what) {
    if (result.exit_code != 0) throw std::runtime_error(what + ":\n" + result.output);
}

ProcessOptions as_postgres(const std::filesystem::path& log = {}) {
    ProcessOptions options;
    options.drop_privileges = true;
    options.log = log;
    return options;
}

/// A data directory as mariadb-install-db leaves it, made once per build directory: a copy takes a
/// tenth of the time.
std::filesystem::path initialized_data() {
    namespace fs = std::filesystem;
    const fs::path data =
        fs::path(HOMEWARD_TEST_CACHE) / ("mariadb-uid-" + std::to_string(::getuid()));
    if (fs::exists(data)) return data;
    const TempDir made;
    give_to_postgres(made.path());
    check(
        run_command({"mariadb-install-db", "--no-defaults", "--datadir=" + (made / "data").string(),
                     "--auth-root-authentication-method=normal", "--skip-test-db",
                     "--innodb-log-file-size=8M"},
                    as_postgres()),
        "mariadb-install-db");
    // Renamed when it is whole; several tests may be here at once.
    const fs::path copy = data.string() + "." + std::to_string(::getpid());
    fs::create_directories(data.parent_path());
    check(run_command({"cp", "-a", made / "data", copy}), "cp");
    std::error_code exists;
    fs::rename(copy, data, exists);
    if (exists) fs::remove_all(copy);
    return data;
}

struct Close {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
};

Rows rows_of(MYSQL* connection) {
    Rows rows;
    MYSQL_RES* result = mysql_store_result(connection);
    if (result == nullptr) return rows;
    while (const MYSQL_ROW row = mysql_fetch_row(result)) {
        rows.emplace_back();
        for (unsigned column = 0; column < mysql_num_fields(result); ++column) {
            rows.back().emplace_back(row[column] == nullptr ? "" : row[column]);
        }
    }
    mysql_free_result(result);
    return rows;
}

}  // namespace

MariadbServer::MariadbServer() : MariadbServer(1) {
    run({});
}

MariadbServer::MariadbServer(int server_id) : port_(free_port()), server_id_(server_id) {
    give_to_postgres(dir_.path());
    check(run_command({"cp", "-a", initialized_data(), dir_ / "data"}), "cp");
    std::ofstream(dir_ / "init.sql") << "SET sql_log_bin = 0;\n"
                                        "CREATE OR REPLACE USER admin@'%';\n"
                                        "GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\n"
                                        "CREATE OR REPLACE USER app@'%';\n"
                                        "GRANT ALL ON shop.* TO app@'%';\n";
}

std::unique_ptr<MariadbServer> MariadbServer::replica_of(const MariadbServer& leader) {
    std::unique_ptr<MariadbServer> replica(new MariadbServer(leader.server_id_ + 1));
    replica->run({"--read-only"});
    replica->query("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = " +
                   std::to_string(leader.port()) +
                   ", MASTER_USER = 'admin', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;"
                   "START SLAVE");
    return replica;
}

MariadbServer::~MariadbServer() {
    if (!process_.is_running()) return;
    thaw();
    process_.stop(20s);
}

void MariadbServer::run(const std::vector<std::string>& more) {
    more_ = more;
    start();
}

void MariadbServer::start() {
    std::vector<std::string> command{kServer,
                                     "--no-defaults",
                                     "--datadir=" + (dir_ / "data").string(),
                                     "--bind-address=127.0.0.1",
                                     "--port=" + std::to_string(port_),
                                     "--socket=" + (dir_ / "socket").string(),
                                     "--pid-file=" + (dir_ / "pid").string(),
                                     "--init-file=" + (dir_ / "init.sql").string(),
                                     "--server-id=" + std::to_string(server_id_),
                                     "--log-bin=binlog",
                                     "--log-slave-updates",
                                     "--log-bin-trust-function-creators",
                                     "--sync-binlog=0",
                                     "--innodb-flush-log-at-trx-commit=0",
                                     "--innodb-log-file-size=8M",
                                     "--innodb-buffer-pool-size=16M",
                                     "--performance-schema=OFF",
                                     "--skip-name-resolve"};
    command.insert(command.end(), more_.begin(), more_.end());
    process_ = Process(command, as_postgres(dir_ / "log"));
    const bool up = wait_until(60s, [this] {
        try {
            query("SELECT 1");
            return true;
        } catch (const std::runtime_error&) {
            return !process_.is_running();
        }
    });
    if (!up || !process_.is_running()) throw std::runtime_error("MariaDB did not start:\n" + log());
}

void MariadbServer::stop() {
    process_.stop(30s);
}

void MariadbServer::kill() {
    process_.kill();
}

Rows MariadbServer::query(const std::string& sql) const {
    const std::unique_ptr<MYSQL, Close> connection(mysql_init(nullptr));
    if (mysql_real_connect(connection.get(), "127.0.0.1", "admin", nullptr, nullptr,
                           static_cast<unsigned>(port_), nullptr,
                           CLIENT_MULTI_STATEMENTS) == nullptr ||
        mysql_query(connection.get(), sql.c_str()) != 0) {
        throw std::runtime_error(mysql_error(connection.get()));
    }
    Rows rows = rows_of(connection.get());
    while (mysql_more_results(connection.get())) {
        if (mysql_next_result(connection.get()) != 0) {
            throw std::runtime_error(mysql_error(connection.get()));
        }
        rows = rows_of(connection.get());
    }
    return rows;
}

}  // namespace homeward::testing
