#include "consumer/ledger/closed_days.hpp"

namespace homeward::consumer {
namespace {

constexpr const char* kLockNotAvailable = "55P03";
constexpr const char* kSerializationFailure = "40001";

/// A day may hold more rows than one statement's time allows.
QueryResult query_without_timeout(PgConnection& leader, const std::string& sql) {
    const PgConnection::WithoutLimit unlimited(leader);
    auto results =
        leader.execute_each("BEGIN; SET LOCAL statement_timeout = 0; " + sql + "; COMMIT");
    return results.at(2);
}

/// Leaves no transaction behind an error.
void roll_back(PgConnection& leader) {
    if (!leader.is_broken()) leader.execute("ROLLBACK");
}

}  // namespace

bool count_closed_day(PgConnection& leader) {
    const QueryResult due =
        leader.query("SELECT table_schema, table_name, day FROM homeward.uncounted_days()");
    if (due.rows() == 0) return false;
    try {
        const QueryResult begun =
            leader.query("SELECT counted_day, attempt FROM homeward.begin_day_count($1, $2, $3)",
                         {due.at(0, 0), due.at(0, 1), due.at(0, 2)});
        if (begun.rows() == 0) return false;
        query_without_timeout(leader, "SELECT homeward.finish_day_count(" +
                                          std::to_string(begun.number(0, 0)) + ", " +
                                          std::to_string(begun.number(0, 1)) + ")");
        return true;
    } catch (const LeaderError& error) {
        roll_back(leader);
        if (error.sqlstate() != kLockNotAvailable && error.sqlstate() != kSerializationFailure) {
            throw;
        }
        return false;
    }
}

CountSummary read_count_summary(PgConnection& leader) {
    const QueryResult row = leader.query(
        "SELECT days_counted, rows_counted, days_read, date_trunc('second', oldest_at),"
        " date_trunc('second', now() - oldest_at) FROM homeward.count_summary()");
    return {row.number(0, 0), row.number(0, 1), row.number(0, 2), std::string(row.at(0, 3)),
            std::string(row.at(0, 4))};
}

std::vector<std::string> recount_days(
    PgConnection& leader, const std::function<void(std::size_t, std::size_t)>& on_progress) {
    const QueryResult days = leader.query(
        "SELECT id, table_schema || '.' || table_name, day FROM homeward.counted_day"
        " ORDER BY day, table_name");
    std::vector<std::string> differing;
    for (int i = 0; i < days.rows(); ++i) {
        try {
            const QueryResult found = query_without_timeout(
                leader,
                "SELECT rows_counted, rows_found, origins_differing FROM homeward.recount_day(" +
                    std::to_string(days.number(i, 0)) + ")");
            if (found.rows() == 1 && found.number(0, 2) > 0) {
                differing.push_back(std::string(days.at(i, 1)) + " of " +
                                    std::string(days.at(i, 2)) + ": " +
                                    std::string(found.at(0, 0)) + " rows were counted, " +
                                    std::string(found.at(0, 1)) + " are there; " +
                                    std::string(found.at(0, 2)) + " origins differ");
            }
        } catch (const LeaderError& error) {
            roll_back(leader);
            // Dropped since we asked which days there are.
            if (error.sqlstate() != "42P01") throw;
        }
        if (on_progress)
            on_progress(static_cast<std::size_t>(i) + 1, static_cast<std::size_t>(days.rows()));
    }
    return differing;
}

}  // namespace homeward::consumer
