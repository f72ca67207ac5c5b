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

Config scratch_config(Config config) {
    const std::string name = kPrefix + PublisherId::random().hex().substr(0, 8);
    config.postgres.url = config.postgres.owner_url;
    config.postgres.ledger_schema = name;
    config.postgres.event_schema = name;
    return config;
}

void lock(PgConnection& leader, const std::string& schema) {
    leader.query("SELECT pg_advisory_lock(hashtext($1))", {schema});
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
    lock(keeper_, name());
    create();
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

void ScratchSchema::create() {
    try {
        keeper_.execute("CREATE SCHEMA " + name());
        keeper_.execute("COMMENT ON SCHEMA " + name() + " IS '" + kComment + "'");
    } catch (const LeaderError& error) {
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
        " AND obj_description(oid, 'pg_namespace') = $2"
        " AND pg_has_role(current_user, nspowner, 'USAGE')"
        " AND pg_try_advisory_lock(hashtext(nspname))",
        {kPrefix, kComment});
    for (int row = 0; row < found.rows(); ++row) {
        keeper_.execute("DROP SCHEMA " + std::string(found.at(row, 0)) + " CASCADE");
    }
    keeper_.execute("SELECT pg_advisory_unlock_all()");
}

/// Over a new connection: the keeper's may have died, or be in the middle of something.
void ScratchSchema::drop() const {
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
