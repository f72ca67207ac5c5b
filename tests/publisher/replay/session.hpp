#pragma once

#include <libpq-fe.h>

#include <cstdlib>
#include <homeward/replay/libpq.hpp>
#include <memory>
#include <stdexcept>
#include <string>

#include "tests/support/servers/postgres_server.hpp"

namespace homeward::testing {

/// One connection that stays open, as an app has it. One thread.
class Session {
  public:
    explicit Session(const PostgresServer& server)
        : connection_(PQconnectdb(server.url().c_str())) {
        if (PQstatus(get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(get()));
    }

    PGconn* get() const { return connection_.get(); }

    /// The first column of the first row; "" when there is none. Throws with the server's message.
    std::string ask(const std::string& sql) const {
        const replay::detail::LibpqResult result(PQexec(get(), sql.c_str()));
        if (!replay::sqlstate_of(result.get()).empty()) {
            throw std::runtime_error(PQerrorMessage(get()));
        }
        return PQntuples(result.get()) == 0 ? "" : PQgetvalue(result.get(), 0, 0);
    }
    std::int64_t number(const std::string& sql) const {
        return std::strtoll(ask(sql).c_str(), nullptr, 10);
    }

  private:
    struct Finish {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };
    std::unique_ptr<PGconn, Finish> connection_;
};

}  // namespace homeward::testing
