// rules.json, which ports of decide() must pass: it is what the C++ core says today, and the C ABI
// passes it.

#include <homeward_replay.h>

#include <cstring>
#include <map>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace homeward::testing;
using Json = nlohmann::json;

namespace {

const Json& rules() {
    static const Json all = Json::parse(read_file(HOMEWARD_REPLAY_RULES_JSON));
    return all;
}

/// Codes by the names that rules.json has for them.
int code(const Json& object, const char* key, const std::vector<const char*>& names) {
    const std::string name = object.value(key, names.front());
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (name == names[i]) return static_cast<int>(i);
    }
    FAIL(key << " is " << name);
    return 0;
}

homeward_situation situation_of(const Json& json, std::string& method) {
    method = json.at("method");
    homeward_situation situation{};
    situation.size = sizeof situation;
    situation.method = method.c_str();
    const std::pair<const char*, std::uint32_t> flags[] = {
        {"has_handler_run", HOMEWARD_HANDLER_HAS_RUN},
        {"was_replayed", HOMEWARD_WAS_REPLAYED},
        {"has_replay_failed", HOMEWARD_REPLAY_HAS_FAILED},
        {"is_websocket", HOMEWARD_IS_WEBSOCKET},
        {"is_length_unknown", HOMEWARD_LENGTH_UNKNOWN}};
    for (const auto& [name, flag] : flags) {
        if (json.value(name, false)) situation.flags |= flag;
    }
    situation.cause =
        static_cast<homeward_cause>(code(json, "cause",
                                         {"none", "read_only", "unsupported", "unknown_name",
                                          "conflict", "connection", "outcome_unknown", "other"}));
    situation.server_role = static_cast<homeward_server_role>(
        code(json, "server_role", {"unknown", "primary", "standby", "read_only_primary"}));
    situation.coverage =
        static_cast<homeward_coverage>(code(json, "coverage",
                                            {"not_asked", "covered", "behind", "different_timeline",
                                             "position_unknown", "primary_only"}));
    situation.body_bytes = json.value("body_bytes", std::uint64_t{0});
    return situation;
}

homeward_policy policy_of(Json changed) {
    Json all = rules().at("policy_defaults");
    all.update(changed);
    homeward_policy policy{sizeof policy, 0, all.at("retry_after_s")};
    const std::pair<const char*, std::uint32_t> flags[] = {
        {"writes_by_method", HOMEWARD_WRITES_BY_METHOD},
        {"unsupported_on_standby", HOMEWARD_UNSUPPORTED_ON_STANDBY},
        {"schema_lag", HOMEWARD_SCHEMA_LAG},
        {"recovery_conflict", HOMEWARD_RECOVERY_CONFLICT},
        {"replica_down", HOMEWARD_REPLICA_DOWN},
        {"large_writes_here", HOMEWARD_LARGE_WRITES_HERE},
        {"websockets_here", HOMEWARD_WEBSOCKETS_HERE}};
    for (const auto& [name, flag] : flags) {
        if (all.at(name).get<bool>()) policy.flags |= flag;
    }
    return policy;
}

}  // namespace

TEST_CASE("rules.json is what the C++ core says") {
    const CommandResult made = run_command({HOMEWARD_REPLAY_RULES_PROGRAM});
    REQUIRE(made.exit_code == 0);
    INFO("`ninja replay_rules` writes publisher/replay/rules.json anew");
    CHECK((made.output == read_file(HOMEWARD_REPLAY_RULES_JSON)));
}

TEST_CASE("decide() by the C ABI passes each case of rules.json, in which each reason is met") {
    std::map<std::string, int> reasons;
    for (const Json& one : rules().at("cases")) {
        std::string method;
        const homeward_situation situation = situation_of(one.at("situation"), method);
        const homeward_policy policy = policy_of(one.value("policy", Json::object()));
        const std::string primary = one.at("primary");
        const std::string current = one.at("current");
        homeward_decision decision{};
        decision.size = sizeof decision;
        INFO(one.dump());
        REQUIRE(homeward_decide(primary.c_str(), current.c_str(), &situation,
                                one.contains("policy") ? &policy : nullptr, &decision) == 1);
        const char* const verdicts[] = {"proceed", "replay", "refuse"};
        const Json& wanted = one.at("decision");
        CHECK(wanted.at("verdict") == verdicts[decision.verdict]);
        CHECK(wanted.at("reason") == decision.reason);
        CHECK(wanted.at("status") == decision.status);
        CHECK(wanted.at("retry_after_s") == decision.retry_after_s);
        CHECK(std::strlen(decision.text) > 0);
        ++reasons[decision.reason];
    }
    CHECK(rules().at("cases").size() > 300);
    CHECK(reasons.size() == 19);
    for (const auto& [state, cause] : rules().at("postgresql").items()) {
        CHECK(cause == homeward_cause_name(homeward_cause_of_sqlstate(state.c_str())));
    }
}

TEST_CASE("rules.json has the codes of other engines, and the C ABI agrees") {
    const auto check = [](const char* engine, std::size_t codes_min, auto cause_of) {
        std::set<std::string> causes;
        for (const auto& [code, cause] : rules().at(engine).items()) {
            INFO(engine << " " << code);
            CHECK(cause == homeward_cause_name(cause_of(code)));
            causes.insert(cause.template get<std::string>());
        }
        CHECK(rules().at(engine).size() >= codes_min);
        CHECK(causes.count("read_only") == 1);
        CHECK(causes.count("other") == 1);
    };
    check("mysql", 30, [](const std::string& code) {
        return homeward_cause_of_mysql(static_cast<std::uint32_t>(std::stoul(code)), nullptr);
    });
    check("mysql_sqlstate", 5,
          [](const std::string& state) { return homeward_cause_of_mysql(1105, state.c_str()); });
    check("mongodb", 20, [](const std::string& code) {
        return homeward_cause_of_mongodb(std::stoi(code), nullptr);
    });
    check("redis", 12,
          [](const std::string& word) { return homeward_cause_of_redis(word.c_str()); });
    check("sqlite", 12,
          [](const std::string& code) { return homeward_cause_of_sqlite(std::stoi(code)); });
    CHECK(homeward_cause_of_mongodb(0, "UnknownTransactionCommitResult") ==
          HOMEWARD_CAUSE_OUTCOME_UNKNOWN);
    CHECK(homeward_cause_of_redis(nullptr) == HOMEWARD_CAUSE_NONE);
}

TEST_CASE("the C ABI of the replay helper takes what it is given, and no more") {
    homeward_situation situation{};
    homeward_decision decision{};
    CHECK(homeward_decide("scl", "ams", nullptr, nullptr, &decision) == 0);
    CHECK(homeward_decide("scl", "ams", &situation, nullptr, &decision) == 0);
    situation.size = sizeof situation;
    decision.size = sizeof decision;
    const int unknown = 99;  // of a newer caller
    std::memcpy(&situation.cause, &unknown, sizeof unknown);
    CHECK(homeward_decide(nullptr, nullptr, &situation, nullptr, &decision) == 1);
    CHECK(decision.verdict == HOMEWARD_PROCEED);
    CHECK(homeward_cause_of_sqlstate(nullptr) == HOMEWARD_CAUSE_NONE);

    char small[8];
    char value[64];
    CHECK(homeward_replay_to("scl", value, sizeof value) == 1);
    CHECK(std::string(value) == "region=scl");
    CHECK(homeward_replay_to("scl", small, sizeof small) == 0);
    CHECK(homeward_replay_to("scl\r\nx: y", value, sizeof value) == 0);
    CHECK(homeward_replay_to(nullptr, value, sizeof value) == 0);
}

TEST_CASE("tokens by the C ABI are signed for a commit and held against a replica") {
    char why[128] = "";
    CHECK(homeward_tokens_new("k1:abc", why, sizeof why) == nullptr);
    CHECK(std::strlen(why) > 0);
    homeward_tokens* tokens =
        homeward_tokens_new(("k1:" + std::string(64, 'a')).c_str(), nullptr, 0);
    REQUIRE(tokens != nullptr);
    const char* const committed[] = {"7", "000000010000000000000003", "0/3000060", "8192",
                                     "16777216"};
    char token[HOMEWARD_TOKEN_BYTES] = "";
    REQUIRE(homeward_token_sign(tokens, committed, token, sizeof token) == 1);
    const auto coverage = [&](const char* text, const char* lsn) {
        const char* const row[] = {"7", "t", "1", lsn};
        return homeward_token_coverage(tokens, text, lsn == nullptr ? nullptr : row);
    };
    CHECK(coverage(token, "0/3000060") == HOMEWARD_COVERED);
    CHECK(coverage(token, "0/3000000") == HOMEWARD_BEHIND);
    CHECK(coverage(token, nullptr) == HOMEWARD_POSITION_UNKNOWN);
    CHECK(coverage(token, "rubbish") == HOMEWARD_POSITION_UNKNOWN);
    CHECK(coverage(nullptr, "0/3000060") == HOMEWARD_NOT_ASKED);
    token[std::strlen(token) - 1] ^= 1;
    CHECK(coverage(token, "0/3000000") == HOMEWARD_NOT_ASKED);
    const char* const none[] = {nullptr, nullptr, nullptr, nullptr, nullptr};
    CHECK(homeward_token_sign(tokens, none, token, sizeof token) == 0);
    homeward_tokens_free(tokens);
}
