#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/publisher/replay/battery/battery.hpp"
#include "tests/support/servers/postgres_server.hpp"

namespace homeward::testing {

/// One of the ways in which libpqxx or libpq can be asked to run a statement.
struct Way {
    std::string name;
    /// The SQLSTATE that our helper makes of what happened.
    std::function<std::string(const std::string& sql)> run;
    bool is_block = true;  ///< it runs its statement between BEGIN and COMMIT
    bool is_first = true;  ///< as the first statement of its transaction

    bool can_run(const Statement& statement) const {
        switch (statement.where) {
            case Where::anywhere:
                return true;
            case Where::in_block:
                return is_block;
            case Where::first:
                return is_block && is_first;
        }
        return true;
    }
};

/// For any statement; each on a connection of its own to the server.
std::vector<Way> libpqxx_ways(const PostgresServer& server);
std::vector<Way> libpq_ways(const PostgresServer& server);

/// What libpqxx has a class of its own for; these ignore `sql`.
std::vector<Way> libpqxx_own_ways(const PostgresServer& server);

}  // namespace homeward::testing
