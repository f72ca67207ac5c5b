// The primary region's server under test: places orders until it is killed; SIGTERM ends it in
// order. A body that begins with "fail" is undone after its row was written.
//
//   order_server NATS_URL DATABASE_URL

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "tests/publisher/forward/order_processes.hpp"

using namespace homeward;

namespace {

std::atomic<bool> stopping{false};

std::string place(pqxx::work& tx, const forward::Call& call) {
    tx.exec("INSERT INTO orders VALUES (" + tx.quote(std::string(call.key)) + ", " +
            tx.quote(std::string(call.body)) + ")");
    // So that kills meet transactions.
    tx.exec("SELECT pg_sleep(random() * 0.01)");
    if (call.body.substr(0, 4) == "fail") throw forward::CallFailed("no_stock", "none left");
    return testing::order_reply(call.body);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    signal(SIGTERM, [](int) { stopping = true; });
    forward::ServerOptions options;
    options.connection.nats_urls = {argv[1]};
    options.connection.region = "scl";
    options.connection.app = "shop";
    options.connection.on_log = [](std::string_view line) {
        std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
    options.database_url = argv[2];
    forward::Server server(options);
    server.on("order.place", &place);
    server.start();
    while (!stopping) usleep(20'000);
    return server.close(std::chrono::seconds(20)) ? 0 : 1;
}
