#include "consumer/schema.hpp"

#include <map>
#include <thread>

#include "consumer/migrations.hpp"

namespace homeward::consumer {
namespace {

/// Any fixed number; all of Homeward's schema changes queue up behind it, however long that takes:
/// the others are just as busy with the same. Until the transaction ends, as behind a pooler a
/// session's lock would stay with whoever gets that session next.
constexpr const char* kSchemaLock =
    "BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(hashtext('homeward.schema'));"
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

std::string literal(const std::string& text) {
    std::string quoted = "'";
    for (char c : text) quoted.append(c == '\'' ? "''" : std::string(1, c));
    return quoted + "'";
}

std::string column_list(Leader& leader, const std::vector<std::string>& columns) {
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

std::vector<EventType> known_event_types(const Config& config) {
    std::vector<EventType> types;
    for (const ShippedEventType& shipped : shipped_event_types()) {
        types.push_back(parse_event_type(shipped.json, std::string(shipped.name) + ".json"));
    }
    if (config.schema.types_dir.empty()) return types;
    for (EventType& own : load_event_types(config.schema.types_dir)) {
        for (const EventType& type : types) {
            if (type.name == own.name || type.table == own.table) {
                throw SchemaError(config.schema.types_dir + ": type \"" + own.name +
                                  "\" or its table \"" + own.table +
                                  "\" is one that Homeward ships; give it another name");
            }
        }
        types.push_back(std::move(own));
    }
    return types;
}

std::string Schema::qualified(const std::string& table) {
    return leader_.quote(config_.postgres.event_schema) + "." + leader_.quote(table);
}

std::string Schema::registration(const EventType& type) {
    return "INSERT INTO homeward.event_type (name, class, table_schema, table_name, partitioning,"
           " retention_days) VALUES (" +
           literal(type.name) + ", " + literal(std::string(to_string(type.event_class))) + ", " +
           literal(config_.postgres.event_schema) + ", " + literal(type.table) + ", " +
           (type.partitioning == Partitioning::day ? "'day'" : "'none'") + ", " +
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

void Schema::plan_table(const EventType& type, std::vector<std::string>& statements) {
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
    for (const Index& index : type.indexes) {
        made += ";\nCREATE INDEX ON " + table + " USING " + index.method + " (" +
                column_list(leader_, index.columns) + ")";
    }
    // One transaction: with a table that is there already, nobody would look for its indexes.
    statements.push_back(made + ";\n" + registration(type));
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
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        {qualified(type.table)});
    std::map<std::string, std::string> columns;
    for (int row = 0; row < found.rows(); ++row) {
        columns[std::string(found.at(row, 0))] = std::string(found.at(row, 1));
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
        }
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
    for (const EventType& type : types) {
        const bool there =
            leader_.query("SELECT to_regclass($1) IS NOT NULL", {qualified(type.table)}).at(0, 0) ==
            "t";
        const bool registered = is_registered(type);
        if (!there) {
            plan_table(type, statements);
        } else {
            plan_columns(type, statements);
            if (!registered) statements.push_back(registration(type));
        }
    }
    return statements;
}

/// One transaction, in turns. Others may have done it meanwhile: `work` is to look first.
void Schema::run(const std::function<void()>& work) {
    for (int turn = 1;; ++turn) {
        try {
            leader_.execute(kSchemaLock);
            leader_.execute("SET LOCAL lock_timeout = " + std::to_string(kLockTurn.count()));
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

void Schema::apply(const std::vector<EventType>& types, std::set<std::string>* drift) {
    drift_ = drift;
    Migrations migrations(leader_);
    const auto missing = migrations.missing();
    if (!missing.empty() && missing.front()->version == 1) {
        run([&] { leader_.execute(kMigrationTable); });
    }
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
