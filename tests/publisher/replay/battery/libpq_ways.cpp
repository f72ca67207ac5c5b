#include <homeward/replay/libpq.hpp>

#include "tests/publisher/replay/session.hpp"
#include "tests/publisher/replay/ways.hpp"

namespace homeward::testing {
namespace {

using replay::sqlstate_of;
using replay::detail::LibpqResult;

/// The first error of all results up to where the connection is idle.
std::string first_error(PGconn* connection) {
    std::string state;
    while (const LibpqResult result{PQgetResult(connection)}) {
        if (state.empty()) state = sqlstate_of(result.get());
    }
    return state;
}

std::string run_prepared(PGconn* connection, const std::string& sql) {
    const LibpqResult prepared(PQprepare(connection, "", sql.c_str(), 0, nullptr));
    const std::string state = sqlstate_of(prepared.get());
    if (!state.empty()) return state;
    const LibpqResult result(PQexecPrepared(connection, "", 0, nullptr, nullptr, nullptr, 0));
    return sqlstate_of(result.get());
}

std::string run_in_pipeline(PGconn* connection, const std::string& sql) {
    PQenterPipelineMode(connection);
    PQsendQueryParams(connection, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQsendQueryParams(connection, "SELECT 1", 0, nullptr, nullptr, nullptr, nullptr, 0);
    PQpipelineSync(connection);
    std::string state = first_error(connection);
    const std::string of_second = first_error(connection);  // skipped when the first has failed
    if (state.empty()) state = of_second;
    const LibpqResult sync(PQgetResult(connection));
    PQexitPipelineMode(connection);
    return state;
}

}  // namespace

std::vector<Way> libpq_ways(const PostgresServer& server) {
    const auto session = std::make_shared<Session>(server);
    const auto on = [&](std::string (*run)(PGconn*, const std::string&)) {
        return [session, run](const std::string& sql) { return run(session->get(), sql); };
    };
    return {
        {"PQexec", on([](PGconn* connection, const std::string& sql) {
             const LibpqResult result(PQexec(connection, sql.c_str()));
             return sqlstate_of(result.get());
         }),
         false},
        {"PQexecParams", on([](PGconn* connection, const std::string& sql) {
             const LibpqResult result(
                 PQexecParams(connection, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0));
             return sqlstate_of(result.get());
         }),
         false},
        {"PQexecPrepared", on(run_prepared), false},
        {"libpq's pipeline", on(run_in_pipeline), false},
        {"PQexec in a block", on([](PGconn* connection, const std::string& sql) {
             const LibpqResult begin(PQexec(connection, "BEGIN"));
             const LibpqResult result(PQexec(connection, sql.c_str()));
             const LibpqResult end(PQexec(connection, "ROLLBACK"));
             return sqlstate_of(result.get());
         })},
    };
}

}  // namespace homeward::testing
