#include "consumer/check.hpp"

#include <cstdio>

#include "consumer/schema.hpp"
#include "consumer/schema_drift.hpp"
#include "consumer/stream.hpp"

namespace homeward::consumer {
namespace {

using namespace std::chrono_literals;

/// Counts what is wrong, and says it.
class Report {
  public:
    void good(const std::string& what) { std::printf("ok    %s\n", what.c_str()); }
    void bad(const std::string& what) {
        std::printf("WRONG %s\n", what.c_str());
        ++wrong_;
    }
    int wrong() const { return wrong_; }

  private:
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

void check_rights(Leader& leader, const Config& config, Report& report) {
    const bool there =
        leader.query("SELECT to_regnamespace('homeward') IS NOT NULL").at(0, 0) == "t";
    if (!there) {
        const bool may_create =
            leader.query("SELECT has_database_privilege(current_database(), 'CREATE')").at(0, 0) ==
            "t";
        if (may_create && config.schema.automatic) {
            report.good("schema homeward is not there yet; run will create it");
        } else {
            report.bad(
                "schema homeward is not there, and this user may not create it; run "
                "homeward-consumer schema apply with an owner's postgres.owner_url");
        }
        return;
    }
    const std::pair<const char*, const char*> rights[] = {
        {"homeward.origin", "SELECT"},       {"homeward.origin", "INSERT"},
        {"homeward.dead_letter", "INSERT"},  {"homeward.tombstone", "INSERT"},
        {"homeward.ledger_mark", "INSERT"},  {"homeward.conflict", "INSERT"},
        {"homeward.account", "SELECT"},      {"homeward.possible_duplicate", "INSERT"},
        {"homeward.known_origin", "SELECT"},
    };
    for (const auto& [table, right] : rights) {
        const bool granted =
            leader.query("SELECT has_table_privilege($1, $2)", {table, right}).at(0, 0) == "t";
        if (!granted) {
            report.bad(std::string("the user lacks ") + right + " on " + table +
                       "; GRANT it, or use the role homeward_writer");
        }
    }
    report.good("rights on the ledger");
}

/// What somebody's ALTER TABLE has made of the event tables; of those that are there.
void check_tables(Leader& leader, const Config& config, Report& report) {
    for (const EventType& type : known_event_types(config)) {
        const bool there = leader
                               .query("SELECT to_regclass($1) IS NOT NULL",
                                      {leader.quote(config.postgres.event_schema) + "." +
                                       leader.quote(type.table)})
                               .at(0, 0) == "t";
        if (!there) continue;
        for (const std::string& one :
             find_schema_drift(leader, config.postgres.event_schema, type)) {
            // What the next schema apply adds is told below.
            if (one.find("schema apply") != std::string::npos) continue;
            report.bad("events of type \"" + type.name + "\" are held: " + one);
        }
    }
}

void check_leader(const Config& config, Report& report) {
    try {
        Leader leader(config.postgres.url, config.postgres);
        const int version = leader.server_version();
        report.good("PostgreSQL " + std::to_string(version / 10000) + " at " +
                    redact(config.postgres.url) + " takes writes");
        check_rights(leader, config, report);
        check_tables(leader, config, report);
        const auto statements = Schema(leader, config).plan(known_event_types(config));
        report.good(statements.empty()
                        ? "ledger and event tables are up to date"
                        : std::to_string(statements.size()) +
                              " schema changes are due; see homeward-consumer schema plan");
    } catch (const LeaderError& error) {
        report.bad("PostgreSQL at " + redact(config.postgres.url) + ": " + error.what() + " [" +
                   error.sqlstate() + "]" + leader_advice(error));
    } catch (const SchemaError& error) {
        report.bad(error.what());
    }
}

void check_streams(const Config& config, Report& report) {
    try {
        NatsConnection nats(config.nats, 2s, [](std::string_view) {});
        report.good("NATS answers");
        for (const Stream& stream : streams_of(config)) {
            try {
                if (read_state(nats, stream)) {
                    report.good("stream " + stream.name + " and its durable");
                } else {
                    report.bad("stream " + stream.name + " or its durable " + stream.durable +
                               " is missing; run homeward-consumer streams apply");
                }
            } catch (const NatsError& error) {
                report.bad(error.what());
            }
        }
        for (const std::string& line : find_twins(nats, streams_of(config))) report.bad(line);
        if (report.wrong() > 0) return;
        const auto changes = plan_streams(nats, config);
        report.good(changes.empty() ? "streams and durables are as configured"
                                    : std::to_string(changes.size()) +
                                          " changes of streams or durables are due; see "
                                          "homeward-consumer streams plan");
    } catch (const NatsError& error) {
        report.bad(error.what());
    }
}

}  // namespace

int run_check(const Config& config) {
    Report report;
    check_streams(config, report);
    check_leader(config, report);
    return report.wrong();
}

}  // namespace homeward::consumer
