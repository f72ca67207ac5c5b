// Prints decide()'s rules as a table of cases in JSON: publisher/replay/rules.json, which every
// port of decide() to another language must pass. `ninja replay_rules` writes the file.

#include <homeward/replay/decide.hpp>
#include <homeward/replay/mongodb.hpp>
#include <homeward/replay/mysql.hpp>
#include <homeward/replay/postgres.hpp>
#include <homeward/replay/redis.hpp>
#include <homeward/replay/sqlite.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace homeward::replay;
using Json = nlohmann::ordered_json;

const Regions kReplica{"scl", "ams"};
const Regions kPrimary{"scl", "scl"};

constexpr ServerRole kRoles[] = {ServerRole::unknown, ServerRole::primary, ServerRole::standby,
                                 ServerRole::read_only_primary};
constexpr Coverage kCoverages[] = {Coverage::not_asked,        Coverage::covered,
                                   Coverage::behind,           Coverage::different_timeline,
                                   Coverage::position_unknown, Coverage::primary_only};

struct Flag {
    const char* name;
    bool Policy::*value;
};
constexpr Flag kFlags[] = {
    {"writes_by_method", &Policy::writes_by_method},
    {"unsupported_on_standby", &Policy::unsupported_on_standby},
    {"schema_lag", &Policy::schema_lag},
    {"recovery_conflict", &Policy::recovery_conflict},
    {"replica_down", &Policy::replica_down},
    {"large_writes_here", &Policy::large_writes_here},
    {"websockets_here", &Policy::websockets_here},
};

Policy opposite(const Flag& flag) {
    Policy policy;
    policy.*flag.value = !(policy.*flag.value);
    return policy;
}

/// Fields that are as in a new Situation are left out.
Json situation_json(const Situation& situation) {
    Json json{{"method", std::string(situation.method)}};
    if (situation.cause != Cause::none) json["cause"] = name_of(situation.cause);
    const std::pair<const char*, bool> flags[] = {
        {"has_handler_run", situation.has_handler_run},
        {"was_replayed", situation.was_replayed},
        {"has_replay_failed", situation.has_replay_failed},
        {"is_websocket", situation.is_websocket},
        {"is_length_unknown", situation.is_length_unknown},
    };
    for (const auto& [name, is_set] : flags) {
        if (is_set) json[name] = true;
    }
    if (situation.body_bytes > 0) json["body_bytes"] = situation.body_bytes;
    if (situation.server_role != ServerRole::unknown) {
        json["server_role"] = name_of(situation.server_role);
    }
    if (situation.coverage != Coverage::not_asked) json["coverage"] = name_of(situation.coverage);
    return json;
}

Json policy_json(const Policy& policy) {
    Json json = Json::object();
    for (const Flag& flag : kFlags) {
        if (policy.*flag.value != Policy().*flag.value) json[flag.name] = policy.*flag.value;
    }
    return json;
}

/// The causes of an engine's codes: those of its table, and some that have no rule.
template <typename Table, typename Codes, typename CauseOf>
Json causes_of(const Table& table, const Codes& others, CauseOf cause_of) {
    Json causes = Json::object();
    const auto add = [&](const auto& code) {
        std::ostringstream text;
        text << code;
        causes[text.str()] = name_of(cause_of(code));
    };
    for (const auto& row : table) add(row.code);
    for (const auto& code : others) add(code);
    return causes;
}

/// Of MySQL's SQLSTATEs those that decide about a code without a rule.
Json mysql_states() {
    Json causes = Json::object();
    for (const char* state : {"25006", "40001", "42S02", "42S22", "08S01", "23000", "HY000"}) {
        causes[state] = name_of(cause_of_mysql(1105, state));  // ER_UNKNOWN_ERROR
    }
    return causes;
}

/// One line an engine.
void print_engines(std::ostream& out) {
    const std::vector<unsigned> mysql{0, 1044, 1062, 1064, 1317, 1969, 3024};
    const std::vector<int> mongodb{0, 13, 50, 11000, 11601};
    const std::vector<std::string> redis{"", "ERR", "WRONGTYPE", "NOAUTH", "OOM", "BUSYGROUP"};
    const std::vector<int> sqlite{0, 1, 10, 19, 100, 101, 261, 262, 264, 266, 517, 520, 776, 1544};
    out << ",\n\"mysql\": "
        << causes_of(kMysqlCauses, mysql, [](unsigned code) { return cause_of_mysql(code); })
        << ",\n\"mysql_sqlstate\": " << mysql_states() << ",\n\"mongodb\": "
        << causes_of(kMongodbCauses, mongodb, [](int code) { return cause_of_mongodb(code); })
        << ",\n\"redis\": "
        << causes_of(kRedisCauses, redis,
                     [](std::string_view word) { return cause_of_redis(word); })
        << ",\n\"sqlite\": " << causes_of(kSqliteCauses, sqlite, cause_of_sqlite);
}

class Table {
  public:
    void add(const Situation& situation, const Regions& regions, const Policy& policy = {}) {
        const Decision decision = decide(situation, regions, policy);
        Json one{{"primary", regions.primary}, {"current", regions.current}};
        if (const Json changed = policy_json(policy); !changed.empty()) one["policy"] = changed;
        one["situation"] = situation_json(situation);
        one["decision"] = Json{{"verdict", name_of(decision.verdict)},
                               {"reason", name_of(decision.reason)},
                               {"status", decision.status},
                               {"retry_after_s", decision.retry_after_s}};
        cases_.push_back(std::move(one));
    }

    /// Header lines, then a case a line, so that a change of one rule is a small diff.
    void print(std::ostream& out) const {
        Json states = Json::object();
        for (const char* state :
             {"25006", "0A000", "42P01", "42703", "42883", "40001", "40P01", "08007", "40003",
              "08000", "08001", "08003", "08004", "08006", "08P01", "57P01", "57P02", "57P03",
              "57014", "23505", "22P02", "42501", "25001", "55000", "XX000"}) {
            states[state] = name_of(cause_of_sqlstate(state));
        }
        Json defaults = Json::object();
        for (const Flag& flag : kFlags) defaults[flag.name] = Policy().*flag.value;
        defaults["retry_after_s"] = Policy().retry_after_s;
        out << "{\n\"format\": 1,\n\"policy_defaults\": " << defaults
            << ",\n\"postgresql\": " << states;
        print_engines(out);
        out << ",\n\"cases\": [\n";
        for (std::size_t i = 0; i < cases_.size(); ++i) {
            out << cases_[i] << (i + 1 < cases_.size() ? ",\n" : "\n");
        }
        out << "]\n}\n";
    }

  private:
    std::vector<Json> cases_;
};

/// Each error of each server, met by a handler.
void add_errors(Table& table) {
    for (const Regions& regions : {kReplica, kPrimary}) {
        for (const char* method : {"GET", "POST"}) {
            for (std::size_t cause = 0; cause < kCauses; ++cause) {
                for (const ServerRole role : kRoles) {
                    Situation situation;
                    situation.method = method;
                    situation.cause = static_cast<Cause>(cause);
                    situation.has_handler_run = true;
                    situation.server_role = role;
                    table.add(situation, regions);
                }
            }
        }
    }
}

/// What a session has seen, before the handler.
void add_reads(Table& table) {
    for (const Regions& regions : {kReplica, kPrimary}) {
        for (const Coverage coverage : kCoverages) {
            for (const ServerRole role : kRoles) {
                Situation situation;
                situation.method = "GET";
                situation.coverage = coverage;
                situation.server_role = role;
                table.add(situation, regions);
            }
        }
    }
}

/// Replayed once, or in vain: never again.
void add_replayed(Table& table) {
    for (const bool has_failed : {false, true}) {
        for (const char* method : {"GET", "POST"}) {
            for (std::size_t cause = 0; cause < kCauses; ++cause) {
                Situation situation;
                situation.method = method;
                situation.cause = static_cast<Cause>(cause);
                situation.has_handler_run = true;
                (has_failed ? situation.has_replay_failed : situation.was_replayed) = true;
                table.add(situation, kReplica);
            }
        }
    }
}

/// Bodies and upgrades, before the handler and after it.
void add_bodies(Table& table) {
    for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}) {
        for (const std::size_t bytes : {kReplayBodyBytesMax, kReplayBodyBytesMax + 1}) {
            Situation situation;
            situation.method = method;
            situation.body_bytes = bytes;
            table.add(situation, kReplica);
            situation.has_handler_run = true;
            situation.cause = Cause::read_only;
            table.add(situation, kReplica);
        }
        Situation situation;
        situation.method = method;
        situation.is_length_unknown = true;
        table.add(situation, kReplica);
        table.add(situation, kPrimary);
    }
    for (const Coverage coverage : kCoverages) {
        Situation situation;
        situation.method = "GET";
        situation.is_websocket = true;
        situation.coverage = coverage;
        table.add(situation, kReplica);
        table.add(situation, kReplica, opposite(kFlags[6]));
    }
}

/// Each switch of the policy the other way round, against what it may change.
void add_policies(Table& table) {
    for (const Flag& flag : kFlags) {
        const Policy policy = opposite(flag);
        for (const char* method : {"GET", "POST"}) {
            Situation situation;
            situation.method = method;
            table.add(situation, kReplica, policy);
            situation.body_bytes = kReplayBodyBytesMax + 1;
            table.add(situation, kReplica, policy);
            for (const Cause cause :
                 {Cause::unsupported, Cause::unknown_name, Cause::conflict, Cause::connection}) {
                Situation met;
                met.method = method;
                met.cause = cause;
                met.has_handler_run = true;
                table.add(met, kReplica, policy);
            }
        }
    }
}

}  // namespace

int main() try {
    Table table;
    add_errors(table);
    add_reads(table);
    add_replayed(table);
    add_bodies(table);
    add_policies(table);
    table.print(std::cout);
    return std::cout.good() ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "homeward-replay-rules: %s\n", error.what());
    return 1;
}
