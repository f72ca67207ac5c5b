#pragma once

#include <string>
#include <vector>

namespace homeward::testing {

/// How a statement can be sent.
enum class Where : unsigned char {
    anywhere,
    in_block,  ///< between BEGIN and COMMIT only
    first,     ///< as the first of such a block only
};

/// One thing that an app may ask of a hot standby.
struct Statement {
    std::string name;  ///< as the README calls it
    std::string sql;
    /// What the standby answers: an SQLSTATE, "" when it does it without a word. Two with a '|'
    /// between them where versions of PostgreSQL differ, the older first.
    std::string sqlstate;
    Where where = Where::anywhere;
};

/// Runs on the leader before the standby is there.
extern const char* const kBatterySchema;
/// Runs on the leader when the standby's replay is paused: what a migration would do.
extern const char* const kBatteryMigration;

const std::vector<Statement>& battery();

/// Whether an answer is one of those that the statement may get.
bool is_expected(const Statement& statement, const std::string& sqlstate);

/// The battery as the rows of a table: SQLSTATE, statements, what the helper does by default.
std::vector<std::string> battery_table();

}  // namespace homeward::testing
