#pragma once

#include <functional>
#include <string>
#include <vector>

#include <homeward/replay/cause.hpp>

namespace homeward::testing {

/// How a statement of MariaDB can be sent.
enum class MariadbWhere : unsigned char {
    anywhere,
    as_text,  ///< not as a prepared statement
};

/// One thing that an app may ask of a read-only replica.
struct MariadbStatement {
    std::string name;  ///< as ENGINES.md calls it
    std::string sql;
    unsigned code = 0;  ///< what the replica answers; 0: it does it without a word
    MariadbWhere where = MariadbWhere::anywhere;
};

/// Runs on the leader, as the app, before the replica's applier is stopped; one statement each.
const std::vector<std::string>& mariadb_schema();
/// Runs on the leader afterwards: what a migration would do.
const std::vector<std::string>& mariadb_migration();
const std::vector<MariadbStatement>& mariadb_battery();

/// The battery as the rows of ENGINES.md's table.
std::vector<std::string> mariadb_table();

/// What came of one statement.
struct MariadbAnswer {
    unsigned code = 0;
    replay::Cause cause = replay::Cause::none;
};

/// One of the ways in which libmariadb can be asked to run a statement; each on a connection of its
/// own.
struct MariadbWay {
    std::string name;
    std::function<MariadbAnswer(const std::string& sql)> run;
    bool is_prepared = false;

    bool can_run(const MariadbStatement& statement) const {
        return !is_prepared || statement.where == MariadbWhere::anywhere;
    }
};
std::vector<MariadbWay> mariadb_ways(int port);

}  // namespace homeward::testing
