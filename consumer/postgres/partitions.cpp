#include "consumer/postgres/partitions.hpp"

#include <spdlog/spdlog.h>

#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {

void Partitions::ensure(PgConnection& leader, const TableDays& days) {
    for (const auto& [table, of_table] : days) {
        for (auto from = of_table.begin(); from != of_table.end();) {
            std::vector<std::int64_t> some;
            while (from != of_table.end() && some.size() < kDaysMax) some.push_back(*from++);
            ensure_some(leader, table, some);
        }
    }
}

void Partitions::ensure_some(PgConnection& leader, const std::string& table,
                             const std::vector<std::int64_t>& days) {
    try {
        leader.query(
            "SELECT homeward.ensure_partitions($1, $2,"
            " ARRAY(SELECT date '1970-01-01' + d FROM pg_catalog.unnest($3::int4[]) AS d))",
            {config_.event_schema, table, array_text(days)});
    } catch (const LeaderError& error) {
        if (leader.is_broken() || is_transient(error.sqlstate())) throw;
        // One table's trouble: its rows will be refused, and all others are written.
        spdlog::warn("partitions of {}: {} [{}]", table, error.what(), error.sqlstate());
    }
    for (const std::int64_t day : days) known_.insert({table, day});
}

}  // namespace homeward::consumer
