#include "consumer/tune/scratch_schema.hpp"

#include <cstdio>
#include <vector>

#include "consumer/postgres/pack_layout.hpp"
#include "consumer/postgres/schema.hpp"
#include "schemas/wire/publisher_id.hpp"

namespace homeward::consumer {
namespace {

constexpr const char* kPrefix = "homeward_tune_";
/// What no other schema says of itself.
constexpr const char* kComment = "scratch space of homeward-consumer tune; may be dropped";
/// Another tune that starts may drop a schema between its COMMIT and its lock.
constexpr int kCreateTriesMax = 3;

Config scratch_config(Config config) {
    const std::string name = kPrefix + PublisherId::random().hex().substr(0, 8);
    config.postgres.url = config.postgres.owner_url;
    config.postgres.ledger_schema = name;
    config.postgres.event_schema = name;
    return config;
}

/// Locked for as long as the schema is in use, by the one role that may: any login could hold an
/// advisory lock, and keep what was left behind from being dropped. The mode excludes itself, and
/// makes the session's transaction neither take an id nor hold back VACUUM.
std::string lock_statement(const std::string& schema) {
    return "LOCK TABLE " + schema + ".in_use IN SHARE UPDATE EXCLUSIVE MODE";
}

bool is_gone(const LeaderError& error) {
    return error.sqlstate() == "3F000" || error.sqlstate() == "42P01";
}

}  // namespace

ScratchSchema::ScratchSchema(const Config& config, const EventType& type)
    : config_(scratch_config(config)), keeper_(config_.postgres.url, config_.postgres) {
    if (keeper_.is_pooled()) {
        throw LeaderError(
            "0A000",
            "a pooler stands between tune and PostgreSQL: its share of the time would "
            "be measured, too; name PostgreSQL itself in postgres.owner_url",
            "");
    }
    drop_left_behind();
    create_and_lock();
    try {
        Schema(keeper_, config_).apply({type});
        const auto qualified = [&](const std::string& table) {
            return keeper_.quote(name()) + "." + keeper_.quote(table);
        };
        tables_ = type.is_packed ? qualified(rows_table(type)) + ", " + qualified(packs_table(type))
                                 : qualified(type.table);
    } catch (...) {
        drop();
        throw;
    }
}

void ScratchSchema::create_and_lock() {
    for (int tries_left = kCreateTriesMax; !in_use_; --tries_left) {
        create();
        PgConnection session(config_.postgres.url, config_.postgres);
        try {
            session.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; " +
                            lock_statement(name()));
            in_use_.emplace(std::move(session));
        } catch (const LeaderError& error) {
            if (is_gone(error) && tries_left > 1) continue;
            drop();
            throw;
        }
    }
}

void ScratchSchema::create() {
    try {
        keeper_.execute("BEGIN; CREATE SCHEMA " + name() + "; COMMENT ON SCHEMA " + name() +
                        " IS '" + kComment + "'; CREATE TABLE " + name() + ".in_use (); COMMIT");
    } catch (const LeaderError& error) {
        keeper_.execute("ROLLBACK");
        if (error.sqlstate() != "42501") throw;
        const QueryResult who = keeper_.query("SELECT current_user, current_database()");
        const std::string role(who.at(0, 0));
        const std::string database(who.at(0, 1));
        throw LeaderError(error.sqlstate(),
                          "role " + role + " may not create a schema in database " + database +
                              ", which is all that tune needs; GRANT CREATE ON DATABASE " +
                              keeper_.quote(database) + " TO " + keeper_.quote(role) +
                              ", or name a role that may in postgres.owner_url",
                          "");
    }
}

void ScratchSchema::empty() {
    keeper_.execute("TRUNCATE " + tables_ +
                    ", homeward.origin, homeward.ledger_frame, homeward.ledger");
}

void ScratchSchema::drop_left_behind() {
    const QueryResult found = keeper_.query(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ ('^' || $1 || '[0-9a-f]{8}$')"
        " AND pg_catalog.obj_description(oid, 'pg_namespace') = $2"
        " AND pg_has_role(current_user, nspowner, 'USAGE')",
        {kPrefix, kComment});
    for (int row = 0; row < found.rows(); ++row) drop_if_unused(std::string(found.at(row, 0)));
}

void ScratchSchema::drop_if_unused(const std::string& schema) {
    try {
        keeper_.execute("BEGIN; " + lock_statement(schema) + " NOWAIT; DROP SCHEMA " + schema +
                        " CASCADE; COMMIT");
    } catch (const LeaderError& error) {
        keeper_.execute("ROLLBACK");
        const bool is_in_use = error.sqlstate() == "55P03";
        if (!is_in_use && !is_gone(error)) throw;
    }
}

/// Over a new connection: the keeper's may have died, or be in the middle of something.
void ScratchSchema::drop() {
    in_use_.reset();  // or its lock would be in the way
    const std::string statement = "DROP SCHEMA IF EXISTS " + name() + " CASCADE";
    try {
        PgConnection(config_.postgres.url, config_.postgres).execute(statement);
    } catch (const LeaderError& error) {
        std::fprintf(stderr,
                     "homeward-consumer: the scratch schema could not be dropped: %s [%s]\n"
                     "The next tune will do it, or you: %s\n",
                     error.what(), error.sqlstate().c_str(), statement.c_str());
    }
}

ScratchSchema::~ScratchSchema() {
    drop();
}

}  // namespace homeward::consumer
