#include "consumer/postgres/partitions.hpp"

#include <spdlog/spdlog.h>

#include "consumer/postgres/sql_text.hpp"

namespace homeward::consumer {

void Partitions::ensure(PgConnection& leader, const TableDays& days) {
    for (const auto& [table, of_table] : days) {
        try {
            leader.query(
                "SELECT homeward.ensure_partitions($1, $2,"
                " ARRAY(SELECT date '1970-01-01' + d FROM pg_catalog.unnest($3::int4[]) AS d))",
                {config_.event_schema, table,
                 array_text(std::vector<std::int64_t>(of_table.begin(), of_table.end()))});
        } catch (const LeaderError& error) {
            if (leader.is_broken() || is_transient(error.sqlstate())) throw;
            // One table's trouble: its rows will be refused, and all others are written.
            spdlog::warn("partitions of {}: {} [{}]", table, error.what(), error.sqlstate());
        }
        for (const std::int64_t day : of_table) known_.insert({table, day});
    }
}

}  // namespace homeward::consumer
