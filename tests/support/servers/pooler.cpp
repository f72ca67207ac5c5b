#include "tests/support/servers/pooler.hpp"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

namespace homeward::testing {

using namespace std::chrono_literals;

Pooler::Pooler(const PostgresServer& server, const std::string& mode, int connections) {
    std::ofstream(dir_ / "pgbouncer.ini")
        << "[databases]\n* = host=127.0.0.1 user=postgres port=" << server.port()
        << "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nunix_socket_dir =\nauth_type = any\n"
        << "listen_port = " << port_ << "\npool_mode = " << mode
        << "\ndefault_pool_size = " << connections << "\n";
    std::vector<std::string> command{"pgbouncer"};
    // It refuses to run as root.
    if (::getuid() == 0) command.insert(command.end(), {"-u", "postgres"});
    command.push_back(dir_ / "pgbouncer.ini");
    ProcessOptions options;
    options.log = dir_ / "log";
    process_ = Process(command, options);
    const bool up = wait_until(30s, [&] {
        try {
            query("SELECT 1");
            return true;
        } catch (const std::runtime_error&) {
            return !process_.is_running();
        }
    });
    if (!up || !process_.is_running()) {
        throw std::runtime_error("pgbouncer did not start:\n" + read_file(dir_ / "log"));
    }
}

}  // namespace homeward::testing
