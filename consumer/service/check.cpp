#include "consumer/service/check.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "consumer/base/log_format.hpp"
#include "consumer/base/printed_commands.hpp"
#include "consumer/ledger/consumer_registry.hpp"
#include "consumer/nats/stream.hpp"
#include "consumer/postgres/schema.hpp"
#include "consumer/postgres/schema_drift.hpp"
#include "consumer/service/http_server.hpp"
#include "consumer/service/tls_files.hpp"
#include "schemas/wire/frame.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Counts what is wrong, and says it.
class Report {
  public:
    explicit Report(std::string command) : command_(std::move(command)) {}
    void good(const std::string& what) { say("ok   ", what); }
    /// Nothing that must be mended, but worth a look.
    void note(const std::string& what) { say("note ", what); }
    void bad(const std::string& what) {
        say("WRONG", what);
        ++wrong_;
    }
    int wrong() const { return wrong_; }

  private:
    void say(const char* verdict, const std::string& what) const {
        std::printf("%s %s\n", verdict, runnable(what, command_).c_str());
    }

    std::string command_;
    int wrong_ = 0;
};

std::string leader_advice(const LeaderError& error) {
    if (error.sqlstate() == "25006") {
        return "; name all hosts in postgres.url and add target_session_attrs=read-write";
    }
    if (error.sqlstate().substr(0, 2) == "28") return "; check user and password in postgres.url";
    if (error.sqlstate() == "3D000")
        return "; create the database, or name another in postgres.url";
    if (error.sqlstate() == "08001") {
        return "; is PostgreSQL running there, and postgres.url right?";
    }
    return "";
}

void check_rights(PgConnection& leader, const Config& config, Report& report) {
    const bool there =
        leader.query("SELECT to_regnamespace('homeward') IS NOT NULL").at(0, 0) == "t";
    if (!there) {
        const bool may_create =
            leader.query("SELECT has_database_privilege(current_database(), 'CREATE')").at(0, 0) ==
            "t";
        if (may_create && config.schema.automatic) {
            report.good("schema homeward is not there yet; run will create it");
        } else {
            report.bad(std::string(
                           "schema homeward is not there, and this user may not create it; with an "
                           "owner's postgres.owner_url, run ") +
                       command::kSchemaApply);
        }
        return;
    }
    const std::pair<const char*, const char*> rights[] = {
        {"homeward.origin", "SELECT"},        {"homeward.origin", "INSERT"},
        {"homeward.tombstone", "INSERT"},     {"homeward.heartbeat", "INSERT"},
        {"homeward.conflict", "INSERT"},      {"homeward.possible_duplicate", "INSERT"},
        {"homeward.origin_status", "SELECT"}, {"homeward.known_origin", "SELECT"},
    };
    for (const auto& [table, right] : rights) {
        // A table of a migration that has not run is no question of rights: see the schema's plan.
        const bool granted =
            leader
                .query("SELECT coalesce(has_any_column_privilege(to_regclass($1), $2), true)",
                       {table, right})
                .at(0, 0) == "t";
        if (!granted) {
            report.bad(std::string("the user lacks ") + right + " on " + table +
                       "; GRANT it, or use the role homeward_writer");
        }
    }
    report.good("rights on the ledger");
}

/// The types whose tables are there: of others, the schema's plan tells.
std::set<std::string> read_registered_types(PgConnection& leader, const std::string& schema) {
    const bool there =
        leader.query("SELECT to_regclass('homeward.event_type') IS NOT NULL").at(0, 0) == "t";
    if (!there) return {};
    const QueryResult found =
        leader.query("SELECT name FROM homeward.event_type WHERE table_schema = $1", {schema});
    std::set<std::string> names;
    for (int row = 0; row < found.rows(); ++row) names.emplace(found.at(row, 0));
    return names;
}

/// What somebody has made of the event tables.
void check_tables(PgConnection& leader, const Config& config, Report& report) {
    const std::string& schema = config.postgres.event_schema;
    const std::set<std::string> registered = read_registered_types(leader, schema);
    for (const EventType& type : known_event_types(config)) {
        if (registered.count(type.name) == 0) continue;
        for (const std::string& one : find_schema_drift(leader, schema, type)) {
            report.bad("events of type \"" + type.name + "\" are held: " + one);
        }
    }
}

/// What to know of a pooler in between; see SessionSettings.
void check_pooler(const PgConnection& leader, const Config& config, Report& report) {
    if (!leader.is_pooled()) return;
    const std::string connections = std::to_string(config.batch.writers + 2);
    report.note(
        "a pooler stands between this consumer and PostgreSQL, by transaction or by "
        "session: both work. Give it " +
        connections +
        " server connections (pool_size) "
        "for each consumer, batch.writers and 2 more; tune needs a direct connection");
}

/// Triggers of the user's own need their path, so it stays as it is.
void check_search_path(PgConnection& leader, Report& report) {
    const QueryResult open = leader.query(
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = ANY (current_schemas(false))"
        " AND has_schema_privilege('public', oid, 'CREATE') ORDER BY 1");
    for (int row = 0; row < open.rows(); ++row) {
        const std::string schema(open.at(row, 0));
        report.note("every login may create functions in schema " + schema +
                    ", where this user's search_path looks for them; if no app needs that: REVOKE "
                    "CREATE ON SCHEMA " +
                    schema + " FROM PUBLIC");
    }
}

/// Who reads what publishers write. Nobody knows of consumers of 0.1, which do not register.
void check_consumers(PgConnection& leader, Report& report) {
    const bool may_look =
        leader
            .query(
                "SELECT to_regclass('homeward.consumer') IS NOT NULL"
                " AND coalesce(has_table_privilege(to_regclass('homeward.consumer'), 'SELECT'),"
                " false)")
            .at(0, 0) == "t";
    if (!may_look) return;
    for (const RegisteredConsumer& one : read_consumers(leader)) {
        const std::string who = "consumer " + one.version + " on " + one.host;
        const std::string reads =
            " reads frames up to version " + std::to_string(one.frame_version_max);
        if (one.frame_version_max < kFrameVersionMax) {
            report.note(who + reads + " only: upgrade it before a publisher sets frame_version = " +
                        std::to_string(kFrameVersionMax));
        } else {
            report.good(who + reads + ", seen " + std::to_string(one.seen_s) + " s ago");
        }
    }
}

/// Columns of these tables that a type wants and that are not there although the table is. A person
/// has renamed or dropped them: schema apply would add empty ones.
void check_columns(PgConnection& leader, const Config& config, Report& report) {
    for (const EventType& type : known_event_types(config)) {
        const QueryResult found = leader.query(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1) || '.' "
            "|| quote_ident($2)) AND attnum > 0 AND NOT attisdropped",
            {config.postgres.event_schema, type.table});
        std::set<std::string> extra;
        for (int i = 0; i < found.rows(); ++i) extra.insert(std::string(found.at(i, 0)));
        if (extra.empty()) continue;
        for (const std::string_view name : kReservedNames) extra.erase(std::string(name));
        std::string missing;
        for (const Field& field : type.fields) {
            if (extra.erase(field.name) == 0) missing += " " + field.name;
        }
        if (missing.empty() || extra.empty()) continue;
        std::string there;
        for (const std::string& name : extra) there += " " + name;
        report.bad("table " + config.postgres.event_schema + "." + type.table + " lacks" + missing +
                   ", and has" + there + ", which type \"" + type.name +
                   "\" does not know; was a column renamed? Rename it back (ALTER TABLE … RENAME "
                   "COLUMN), or add an empty one: " +
                   command::kSchemaApply);
    }
}

void check_leader(const Config& config, Report& report) {
    try {
        PgConnection leader(config.postgres.url, config.postgres);
        const int version = leader.server_version();
        report.good("PostgreSQL " + std::to_string(version / 10000) + " at " +
                    redact(config.postgres.url) + " takes writes");
        check_pooler(leader, config, report);
        check_search_path(leader, report);
        const std::string& schema = config.postgres.event_schema;
        if (leader.query("SELECT to_regnamespace(quote_ident($1)) IS NULL", {schema}).at(0, 0) ==
            "t") {
            report.bad("schema \"" + schema +
                       "\" of postgres.event_schema is not there; correct the name, or run "
                       "CREATE SCHEMA " +
                       leader.quote(schema));
            return;
        }
        check_consumers(leader, report);
        check_rights(leader, config, report);
        check_tables(leader, config, report);
        check_columns(leader, config, report);
        const auto statements = Schema(leader, config).plan(known_event_types(config));
        report.good(statements.empty()
                        ? "ledger and event tables are up to date"
                        : std::to_string(statements.size()) + " schema changes are due; see " +
                              command::kSchemaPlan);
    } catch (const LeaderError& error) {
        report.bad("PostgreSQL at " + redact(config.postgres.url) + ": " + error.what() + " [" +
                   error.sqlstate() + "]" + leader_advice(error));
    } catch (const SchemaError& error) {
        report.bad(error.what());
    }
}

/// A file that is named must be there and ours to read.
void check_files(const Config& config, Report& report) {
    const std::pair<const char*, const std::string*> files[] = {
        {"nats.credentials_file", &config.nats.credentials_file},
        {"nats.nkey_file", &config.nats.nkey_file},
        {"nats.tls_ca_file", &config.nats.tls_ca_file},
        {"nats.tls_cert_file", &config.nats.tls_cert_file},
        {"nats.tls_key_file", &config.nats.tls_key_file},
        {"admin.tls_cert_file", &config.admin.tls_cert_file},
        {"admin.tls_key_file", &config.admin.tls_key_file},
    };
    for (const auto& [key, file] : files) {
        if (file->empty()) continue;
        std::error_code error;
        if (std::filesystem::is_directory(*file, error)) {
            report.bad(std::string(key) + " " + *file + ": is a directory; name the file in it");
        } else if (::access(file->c_str(), R_OK) != 0) {
            report.bad(std::string(key) + " " + *file + ": " + std::strerror(errno) +
                       "; correct the name, or let the user of this process read it");
        }
    }
}

void check_tls(const Config& config, Report& report) {
    const Config::Nats& nats = config.nats;
    for (const TlsFiles& files :
         {TlsFiles{"nats", nats.tls_ca_file, nats.tls_cert_file, nats.tls_key_file},
          TlsFiles{"admin", "", config.admin.tls_cert_file, config.admin.tls_key_file}}) {
        for (const std::string& fault : find_tls_faults(files)) report.bad(fault);
    }
}

void check_admin(const Config& config, Report& report) {
    if (config.admin.listen.empty()) return;
    try {
        check_listen_address(config.admin.listen);
        report.good("admin endpoint can listen on " + config.admin.listen);
    } catch (const AddressInUse& error) {
        if (is_consumer_at(config.admin.listen)) {
            report.good("a consumer runs, with its admin endpoint on " + config.admin.listen);
        } else if (!config.admin.tls_cert_file.empty()) {
            // Its certificate is not ours to judge.
            report.note("something listens on " + config.admin.listen +
                        " already: a consumer that runs, or set admin.listen to a free host:port");
        } else {
            report.bad(std::string(error.what()) + "; what listens there now is no consumer");
        }
    } catch (const std::runtime_error& error) {
        report.bad(error.what());
    }
}

/// What stays in a stream and is never delivered. Looks for some seconds, as messages that come and
/// go look the same for a moment.
void check_delivery(NatsConnection& nats, const Stream& stream, StreamState state, Report& report) {
    if (state.max_deliver > 0) {
        report.bad("durable " + stream.durable + " gives a message up after " +
                   std::to_string(state.max_deliver) + " deliveries (max_deliver); run " +
                   command::kStreamsApply);
    }
    std::uint64_t least = state.undeliverable();
    for (int i = 0; i < 4 && least > 0; ++i) {
        std::this_thread::sleep_for(500ms);
        const auto now = read_state(nats, stream);
        least = std::min(least, now ? now->undeliverable() : 0);
    }
    if (least == 0) return;
    report.bad(std::to_string(least) + " messages of stream " + stream.name +
               " are neither waiting nor delivered, and never will be: after a downgrade of "
               "nats-server, or with a limited max_deliver; RUNBOOK, undeliverable messages");
}

void check_streams(const Config& config, Report& report) {
    try {
        NatsConnection nats(config.nats, 2s, [](std::string_view) {});
        report.good("NATS answers");
        for (const Stream& stream : streams_of(config)) {
            try {
                if (const auto state = read_state(nats, stream)) {
                    report.good("stream " + stream.name + " and its durable");
                    check_delivery(nats, stream, *state, report);
                } else {
                    report.bad("stream " + stream.name + " or its durable " + stream.durable +
                               " is missing; run " + command::kStreamsApply);
                }
            } catch (const NatsError& error) {
                report.bad(error.what());
            }
        }
        for (const std::string& line : find_duplicate_streams(nats, streams_of(config)))
            report.bad(line);
        if (report.wrong() > 0) return;
        const auto changes = plan_streams(nats, config);
        report.good(changes.empty() ? "streams and durables are as configured"
                                    : std::to_string(changes.size()) +
                                          " changes of streams or durables are due; see " +
                                          command::kStreamsPlan);
    } catch (const NatsError& error) {
        report.bad(error.what());
    }
}

}  // namespace

int run_check(const Config& config) {
    Report report(config.command);
    for (const std::string& warning : config.warnings) report.note(warning);
    check_files(config, report);
    check_tls(config, report);
    check_admin(config, report);
    check_streams(config, report);
    check_leader(config, report);
    return report.wrong();
}

}  // namespace homeward::consumer
