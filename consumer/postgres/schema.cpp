#include "consumer/postgres/schema.hpp"

#include <map>
#include <set>
#include <thread>

#include "consumer/postgres/migrations.hpp"
#include "consumer/postgres/packed_table.hpp"
#include "consumer/postgres/schema_comments.hpp"
#include "consumer/postgres/sql_text.hpp"
#include "consumer/postgres/table_names.hpp"

namespace homeward::consumer {
namespace {

/// All of Homeward's schema changes queue behind it, however long that takes: the others are just
/// as busy with the same. Of a table that only its owner may lock so: any login could hold an
/// advisory lock for as long as it likes. Until the transaction ends, as behind a pooler a
/// session's lock would stay with whoever gets that session next.
constexpr const char* kSchemaLock =
    "BEGIN; SET LOCAL lock_timeout = 0;"
    " LOCK TABLE homeward.migration IN SHARE ROW EXCLUSIVE MODE;"
    // Hears of what others have made while we waited: to_regclass() alone would not.
    " SELECT FROM pg_catalog.pg_class LIMIT 0";
/// Whoever waits for an exclusive lock holds up all that come after it, so the wait is short, and
/// others have their turn before the next try. About a minute in all.
constexpr std::chrono::milliseconds kLockTurn{250};
constexpr int kLockTurnsMax = 80;

/// Before the first migration.
constexpr const char* kMigrationTable =
    "CREATE SCHEMA IF NOT EXISTS homeward;\n"
    "CREATE TABLE IF NOT EXISTS homeward.migration (version int4 PRIMARY KEY,"
    " name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";

std::string column_sql(const Field& field) {
    return std::string(sql_name(field.column)) + (field.array ? "[]" : "");
}

std::string column_list(PgConnection& leader, const std::vector<std::string>& columns) {
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + leader.quote(column);
    }
    return list;
}

}  // namespace

std::string catalog_name(const Field& field) {
    const std::string name = field.column == ColumnType::timestamptz
                                 ? "timestamp with time zone"
                                 : std::string(sql_name(field.column));
    return name + (field.array ? "[]" : "");
}

std::string Schema::qualified(const std::string& table) {
    return leader_.quote(config_.postgres.event_schema) + "." + leader_.quote(table);
}

std::string Schema::registration(const EventType& type) {
    return "INSERT INTO homeward.event_type (name, class, table_schema, table_name, partitioning,"
           " retention_days) VALUES (" +
           sql_literal(type.name) + ", " + sql_literal(std::string(to_string(type.event_class))) +
           ", " + sql_literal(config_.postgres.event_schema) + ", " + sql_literal(type.table) +
           ", " + (type.partitioning == Partitioning::day ? "'day'" : "'none'") + ", " +
           std::to_string(type.retention_days) +
           ") ON CONFLICT (name) DO UPDATE SET retention_days = excluded.retention_days,"
           " applied_at = now()";
}

/// Whether the leader knows the type as it is here. Refuses to move it to another table: the rows
/// in the old one would be missing from the proof.
bool Schema::is_registered(const EventType& type) {
    // A plan may look on while somebody else applies.
    const bool there =
        leader_.query("SELECT to_regclass('homeward.event_type') IS NOT NULL").at(0, 0) == "t";
    if (!there) return false;
    const QueryResult row = leader_.query(
        "SELECT table_schema, table_name, partitioning, retention_days FROM homeward.event_type"
        " WHERE name = $1",
        {type.name});
    if (row.rows() == 0) return false;
    const std::string partitioning = type.partitioning == Partitioning::day ? "day" : "none";
    if (row.at(0, 0) != config_.postgres.event_schema || row.at(0, 1) != type.table ||
        row.at(0, 2) != partitioning) {
        throw LeaderError(
            "42804",
            "event type \"" + type.name + "\" has its rows in " + std::string(row.at(0, 0)) + "." +
                std::string(row.at(0, 1)) + ", partitioned by " + std::string(row.at(0, 2)) +
                "; it cannot move to " + config_.postgres.event_schema + "." + type.table +
                ", partitioned by " + partitioning + ": keep both, or give the type another title",
            "");
    }
    return row.number(0, 3) == static_cast<std::int64_t>(type.retention_days);
}

std::string Schema::table_sql(const EventType& type) {
    const std::string table = qualified(type.table);
    std::string columns =
        "    origin int4 NOT NULL,\n    seq int8 NOT NULL,\n    time timestamptz NOT NULL";
    for (const Field& field : type.fields) {
        columns += ",\n    " + leader_.quote(field.name) + " " + column_sql(field) +
                   (field.required ? " NOT NULL" : "");
    }
    columns += ",\n    extra jsonb";
    // PostgreSQL names the indexes, as no rule of ours would be free of clashes: (b_c) and (b, c),
    // or names that differ only behind the 63rd byte.
    std::string made =
        "CREATE TABLE " + table + " (\n" + columns + ")" +
        (type.partitioning == Partitioning::day ? " PARTITION BY RANGE (time)" : "") +
        ";\nCREATE INDEX ON " + table + " USING brin (time)";
    for (const Index& index : type.indexes) made += ";\n" + index_sql(type, index);
    for (const auto& [column, how] : type.storage) {
        const bool is_compression = how == "pglz" || how == "lz4";
        made += ";\nALTER TABLE " + table + " ALTER COLUMN " + leader_.quote(column) + " SET " +
                (is_compression ? "COMPRESSION " : "STORAGE ") + how;
    }
    return made;
}

std::string Schema::relation_kind(const std::string& table) {
    return std::string(leader_
                           .query("SELECT coalesce((SELECT relkind::text FROM pg_class"
                                  " WHERE oid = to_regclass($1)), '')",
                                  {qualified(table)})
                           .at(0, 0));
}

/// Whether a table is partitioned, and begins as event tables do.
bool Schema::is_event_table(const std::string& table) {
    return leader_
               .query(
                   "SELECT count(*) = 3 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                   " WHERE c.oid = to_regclass($1) AND c.relkind = 'p'"
                   " AND (a.attname, a.attnum) IN (('origin', 1), ('seq', 2), ('time', 3))",
                   {qualified(table)})
               .at(0, 0) == "t";
}

/// Whether the type has packs, whatever its storage is now.
bool Schema::has_packs(const EventType& type) {
    const bool there =
        leader_.query("SELECT to_regclass('homeward.packed_type') IS NOT NULL").at(0, 0) == "t";
    return there && leader_.query(
                               "SELECT EXISTS (SELECT FROM homeward.packed_type"
                               " WHERE name = $1)",
                               {type.name})
                            .at(0, 0) == "t";
}

/// Two tables and a view. A table of rows that is there already becomes one of the two.
void Schema::plan_packed(const EventType& type, bool is_packed_already,
                         std::vector<std::string>& statements) {
    EventType rows = type;
    rows.table = rows_table(type);
    const EventType whole = with_former_fields(leader_, config_.postgres.event_schema, type);
    PackedTable packed(leader_, config_.postgres.event_schema, whole);
    const bool is_registered_already = is_registered(type);
    const std::string kind = relation_kind(type.table);
    const bool is_table = kind == "r" || kind == "p";
    const bool has_rows = !relation_kind(rows.table).empty();
    // Also what is left when somebody has dropped the schema homeward.
    const bool are_ours = is_packed_already || is_event_table(rows.table);
    if ((!kind.empty() && !is_table && !are_ours) || (has_rows && (is_table || !are_ours))) {
        const std::string& other = has_rows ? rows.table : type.table;
        throw LeaderError("42804",
                          "event type \"" + type.name + "\" is packed and needs the names " +
                              type.table + ", " + rows.table + " and " + packs_table(type) + "; " +
                              other +
                              " is something else; rename it, or give the type another table",
                          "");
    }
    if (is_table) {
        plan_columns(type, statements);
        plan_comments(type, Commented::table, statements);
        packed.plan_rename(statements);
    } else if (has_rows) {
        plan_columns(rows, statements);
        plan_indexes(rows, statements);
        plan_comments(rows, Commented::table, statements);
    } else {
        statements.push_back(table_sql(rows));
        plan_comments(rows, Commented::table, statements);
    }
    if (!is_registered_already) statements.push_back(registration(type));
    for (std::string& one : packed.plan(!is_packed_already)) statements.push_back(std::move(one));
    // Until then, comments of that name are the table's.
    plan_comments(type, is_table ? Commented::new_view : Commented::view, statements);
}

void Schema::plan_comments(const EventType& type, Commented relation,
                           std::vector<std::string>& statements) {
    std::string comments = comment_statements(leader_, qualified(type.table), relation, type);
    if (!comments.empty()) statements.push_back(std::move(comments));
}

void Schema::plan_columns(const EventType& type, std::vector<std::string>& statements) {
    const bool is_partitioned =
        leader_
            .query("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass($1)",
                   {qualified(type.table)})
            .at(0, 0) == "t";
    if (is_partitioned != (type.partitioning == Partitioning::day)) {
        throw LeaderError("42804",
                          "event type \"" + type.name + "\" wants table " + qualified(type.table) +
                              (is_partitioned ? " not" : "") +
                              " partitioned by day, and it is there otherwise; give the type "
                              "another table",
                          "");
    }
    const QueryResult found = leader_.query(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        {qualified(type.table)});
    std::map<std::string, std::string> columns;
    std::set<std::string> not_null;
    for (int row = 0; row < found.rows(); ++row) {
        columns[std::string(found.at(row, 0))] = std::string(found.at(row, 1));
        if (found.at(row, 2) == "t") not_null.insert(std::string(found.at(row, 0)));
    }
    for (const Field& field : type.fields) {
        const auto column = columns.find(field.name);
        if (column == columns.end()) {
            // Rows that are there already have no value, so it cannot be NOT NULL.
            statements.push_back("ALTER TABLE " + qualified(type.table) + " ADD COLUMN " +
                                 leader_.quote(field.name) + " " + column_sql(field));
        } else if (column->second != catalog_name(field)) {
            const std::string refusal =
                "event type \"" + type.name + "\" wants column \"" + field.name + "\" to be " +
                catalog_name(field) + ", the table has " + column->second +
                "; Homeward never changes a column's type: give the field another "
                "name, or migrate the table by hand";
            if (drift_ == nullptr) throw LeaderError("42804", refusal, "");
            drift_->insert(refusal);
        } else if (!field.required && not_null.count(field.name) == 1) {
            // The reverse is never planned: rows that are there may have no value.
            statements.push_back("ALTER TABLE " + qualified(type.table) + " ALTER COLUMN " +
                                 leader_.quote(field.name) + " DROP NOT NULL");
        }
    }
}

std::string Schema::index_sql(const EventType& type, const Index& index) {
    return "CREATE INDEX ON " + qualified(type.table) + " USING " + index.method + " (" +
           column_list(leader_, index.columns) + ")";
}

/// Those that are not there, in whatever name. One that the type no longer has stays.
void Schema::plan_indexes(const EventType& type, std::vector<std::string>& statements) {
    const QueryResult found = leader_.query(
        "SELECT m.amname || ' ' || pg_catalog.array_to_string(ARRAY("
        "  SELECT a.attname FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)"
        "  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        "  WHERE k.place <= i.indnkeyatts ORDER BY k.place), ',')"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam"
        " WHERE i.indrelid = to_regclass($1) AND i.indpred IS NULL AND i.indexprs IS NULL",
        {qualified(type.table)});
    std::set<std::string> there;
    for (int row = 0; row < found.rows(); ++row) there.insert(std::string(found.at(row, 0)));
    for (const Index& index : type.indexes) {
        std::string key = index.method + " ";
        for (std::size_t i = 0; i < index.columns.size(); ++i) {
            key += (i == 0 ? "" : ",") + index.columns[i];
        }
        if (there.insert(key).second) statements.push_back(index_sql(type, index));
    }
}

/// For what is written from then on; rows that are there stay as they are.
void Schema::plan_storage(const EventType& type, std::vector<std::string>& statements) {
    if (type.storage.empty()) return;
    const QueryResult found = leader_.query(
        "SELECT attname, CASE attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'"
        "  WHEN 'x' THEN 'extended' ELSE 'main' END,"
        " CASE attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE '' END"
        " FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        {qualified(type.table)});
    for (int row = 0; row < found.rows(); ++row) {
        const auto wanted = type.storage.find(std::string(found.at(row, 0)));
        if (wanted == type.storage.end()) continue;
        const bool is_compression = wanted->second == "pglz" || wanted->second == "lz4";
        if (found.at(row, is_compression ? 2 : 1) == wanted->second) continue;
        statements.push_back("ALTER TABLE " + qualified(type.table) + " ALTER COLUMN " +
                             leader_.quote(wanted->first) + " SET " +
                             (is_compression ? "COMPRESSION " : "STORAGE ") + wanted->second);
    }
}

std::vector<std::string> Schema::plan(const std::vector<EventType>& types) {
    const auto missing = Migrations(leader_).missing();
    std::vector<std::string> statements;
    if (!missing.empty() && missing.front()->version == 1) statements.emplace_back(kMigrationTable);
    for (const Migration* migration : missing) {
        statements.push_back(Migrations::statement(*migration));
    }
    for (std::string& statement : plan_tables(types)) statements.push_back(std::move(statement));
    return statements;
}

std::vector<std::string> Schema::plan_tables(const std::vector<EventType>& types) {
    std::vector<std::string> statements;
    TableNames names(leader_, config_.postgres.event_schema);
    for (const EventType& type : types) {
        const bool is_packed_already = has_packs(type);
        names.claim(type, type.is_packed || is_packed_already);
        if (type.is_packed || is_packed_already) {
            plan_packed(type, is_packed_already, statements);
            continue;
        }
        const bool registered = is_registered(type);
        if (relation_kind(type.table).empty()) {
            // One transaction: with a table that is there already, nobody would look for its
            // indexes.
            statements.push_back(table_sql(type) + ";\n" + registration(type));
        } else {
            plan_columns(type, statements);
            plan_indexes(type, statements);
            plan_storage(type, statements);
            if (!registered) statements.push_back(registration(type));
        }
        plan_comments(type, Commented::table, statements);
    }
    return statements;
}

/// One transaction, in turns. Others may have done it meanwhile: `work` is to look first.
void Schema::run(const std::function<void()>& work) {
    const PgConnection::WithoutLimit unlimited(leader_);
    for (int turn = 1;; ++turn) {
        try {
            leader_.execute(kSchemaLock);
            // A new index on a table that is there takes its time.
            leader_.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = " +
                            std::to_string(kLockTurn.count()));
            work();
            leader_.execute("COMMIT");
            return;
        } catch (const LeaderError& error) {
            if (leader_.is_broken()) throw;
            leader_.execute("ROLLBACK");
            if (error.sqlstate() != "55P03" || turn == kLockTurnsMax) throw;
        }
        std::this_thread::sleep_for(kLockTurn * 2);
    }
}

/// Nothing can be locked before it is there, and IF NOT EXISTS does not see what another session is
/// making: one of two that begin at once fails with one of these.
void Schema::make_migration_table() {
    for (int turn = 1;; ++turn) {
        try {
            leader_.execute(kMigrationTable);
            return;
        } catch (const LeaderError& error) {
            const bool is_made = error.sqlstate() == "23505" || error.sqlstate() == "42P06" ||
                                 error.sqlstate() == "42P07";
            if (!is_made || leader_.is_broken() || turn == kLockTurnsMax) throw;
        }
        std::this_thread::sleep_for(kLockTurn);
    }
}

void Schema::apply(const std::vector<EventType>& types, std::set<std::string>* drift) {
    drift_ = drift;
    Migrations migrations(leader_);
    const auto missing = migrations.missing();
    if (!missing.empty() && missing.front()->version == 1) make_migration_table();
    // Behind CREATE SCHEMA IF NOT EXISTS, so that nobody comes in between.
    if (!missing.empty()) refuse_other_schema_owner(leader_);
    for (const Migration* migration : missing) {
        run([&] {
            if (migrations.is_missing(*migration)) migrations.run(*migration);
        });
    }
    for (const EventType& type : types) {
        if (plan_tables({type}).empty()) continue;
        run([&] {
            for (const std::string& statement : plan_tables({type})) leader_.execute(statement);
        });
    }
    for (const EventType& type : types) {
        if (type.partitioning != Partitioning::day) continue;
        leader_.query(
            "SELECT homeward.ensure_partition($1, $2, (now() AT TIME ZONE 'UTC')::date + d)"
            " FROM generate_series(-1, $3::int4) AS d",
            {config_.postgres.event_schema, type.table,
             static_cast<std::int64_t>(config_.schema.partitions_ahead_days)});
    }
}

}  // namespace homeward::consumer
