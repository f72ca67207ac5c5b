// homeward_replay.h on top of the C++ replay helper. No exception leaves it.

#include <homeward_replay.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include <homeward/replay/connection_url.hpp>
#include <homeward/replay/decide.hpp>
#include <homeward/replay/mongodb.hpp>
#include <homeward/replay/mysql.hpp>
#include <homeward/replay/position.hpp>
#include <homeward/replay/postgres.hpp>
#include <homeward/replay/redis.hpp>
#include <homeward/replay/sqlite.hpp>
#include <homeward/replay/token.hpp>

#include "publisher/bindings/c/c_abi_tokens.hpp"

namespace replay = homeward::replay;

using homeward::row_from;
using homeward::text;
using homeward::unix_now_s;
using homeward::write;

namespace {

template <typename Code, typename Value>
constexpr bool is_same(Code code, Value value) {
    return static_cast<int>(code) == static_cast<int>(value);
}
static_assert(is_same(HOMEWARD_CAUSE_READ_ONLY, replay::Cause::read_only) &&
              is_same(HOMEWARD_CAUSE_UNSUPPORTED, replay::Cause::unsupported) &&
              is_same(HOMEWARD_CAUSE_UNKNOWN_NAME, replay::Cause::unknown_name) &&
              is_same(HOMEWARD_CAUSE_CONFLICT, replay::Cause::conflict) &&
              is_same(HOMEWARD_CAUSE_CONNECTION, replay::Cause::connection) &&
              is_same(HOMEWARD_CAUSE_OUTCOME_UNKNOWN, replay::Cause::outcome_unknown) &&
              is_same(HOMEWARD_CAUSE_OTHER, replay::Cause::other));
static_assert(is_same(HOMEWARD_ROLE_PRIMARY, replay::ServerRole::primary) &&
              is_same(HOMEWARD_ROLE_STANDBY, replay::ServerRole::standby) &&
              is_same(HOMEWARD_ROLE_READ_ONLY_PRIMARY, replay::ServerRole::read_only_primary));
static_assert(is_same(HOMEWARD_NOT_ASKED, replay::Coverage::not_asked) &&
              is_same(HOMEWARD_COVERED, replay::Coverage::covered) &&
              is_same(HOMEWARD_BEHIND, replay::Coverage::behind) &&
              is_same(HOMEWARD_DIFFERENT_TIMELINE, replay::Coverage::different_timeline) &&
              is_same(HOMEWARD_POSITION_UNKNOWN, replay::Coverage::position_unknown) &&
              is_same(HOMEWARD_PRIMARY_ONLY, replay::Coverage::primary_only));
static_assert(is_same(HOMEWARD_PROCEED, replay::Verdict::proceed) &&
              is_same(HOMEWARD_REPLAY, replay::Verdict::replay) &&
              is_same(HOMEWARD_REFUSE, replay::Verdict::refuse));
static_assert(static_cast<std::size_t>(HOMEWARD_TOKEN_BYTES) == replay::kTokenBytesMax + 1);

void explain(std::string_view what, char* why, std::size_t why_bytes) {
    if (why == nullptr || why_bytes == 0) return;
    const std::size_t bytes = std::min(what.size(), why_bytes - 1);
    std::memcpy(why, what.data(), bytes);
    why[bytes] = '\0';
}

bool has(std::uint32_t flags, int flag) {
    return (flags & static_cast<std::uint32_t>(flag)) != 0;
}

/// A code that this version does not know is 0: nothing is concluded from it.
template <typename Enum>
Enum known(int code, Enum last) {
    return code < 0 || code > static_cast<int>(last) ? Enum{} : static_cast<Enum>(code);
}

replay::Situation situation_from(const homeward_situation& given) {
    replay::Situation situation;
    situation.method = text(given.method);
    situation.has_handler_run = has(given.flags, HOMEWARD_HANDLER_HAS_RUN);
    situation.was_replayed = has(given.flags, HOMEWARD_WAS_REPLAYED);
    situation.has_replay_failed = has(given.flags, HOMEWARD_REPLAY_HAS_FAILED);
    situation.is_websocket = has(given.flags, HOMEWARD_IS_WEBSOCKET);
    situation.is_length_unknown = has(given.flags, HOMEWARD_LENGTH_UNKNOWN);
    situation.body_bytes = given.body_bytes;
    situation.cause = known(given.cause, replay::Cause::other);
    situation.server_role = known(given.server_role, replay::ServerRole::read_only_primary);
    situation.coverage = known(given.coverage, replay::Coverage::primary_only);
    return situation;
}

replay::Policy policy_from(const homeward_policy* given) {
    replay::Policy policy;
    if (given == nullptr || given->size < sizeof *given) return policy;
    policy.writes_by_method = has(given->flags, HOMEWARD_WRITES_BY_METHOD);
    policy.unsupported_on_standby = has(given->flags, HOMEWARD_UNSUPPORTED_ON_STANDBY);
    policy.schema_lag = has(given->flags, HOMEWARD_SCHEMA_LAG);
    policy.recovery_conflict = has(given->flags, HOMEWARD_RECOVERY_CONFLICT);
    policy.replica_down = has(given->flags, HOMEWARD_REPLICA_DOWN);
    policy.large_writes_here = has(given->flags, HOMEWARD_LARGE_WRITES_HERE);
    policy.websockets_here = has(given->flags, HOMEWARD_WEBSOCKETS_HERE);
    if (given->retry_after_s > 0) policy.retry_after_s = given->retry_after_s;
    return policy;
}

}  // namespace

homeward_cause homeward_cause_of_sqlstate(const char* sqlstate) {
    return static_cast<homeward_cause>(replay::cause_of_sqlstate(text(sqlstate)));
}

homeward_cause homeward_cause_of_mysql(uint32_t code, const char* sqlstate) {
    return static_cast<homeward_cause>(replay::cause_of_mysql(code, text(sqlstate)));
}

homeward_cause homeward_cause_of_mongodb(int32_t code, const char* label) {
    return static_cast<homeward_cause>(replay::cause_of_mongodb(code, text(label)));
}

homeward_cause homeward_cause_of_redis(const char* error_line) {
    return static_cast<homeward_cause>(replay::cause_of_redis(text(error_line)));
}

homeward_cause homeward_cause_of_sqlite(int32_t extended_code) {
    return static_cast<homeward_cause>(replay::cause_of_sqlite(extended_code));
}

const char* homeward_cause_name(homeward_cause cause) {
    return name_of(known(cause, replay::Cause::other)).data();  // of a literal
}

int homeward_decide(const char* primary, const char* current, const homeward_situation* situation,
                    const homeward_policy* policy, homeward_decision* decision) {
    if (situation == nullptr || situation->size < sizeof *situation || decision == nullptr ||
        decision->size < sizeof *decision) {
        return 0;
    }
    try {
        const replay::Regions regions{std::string(text(primary)), std::string(text(current))};
        const replay::Decision made =
            decide(situation_from(*situation), regions, policy_from(policy));
        decision->verdict = static_cast<homeward_verdict>(made.verdict);
        decision->status = made.status;
        decision->retry_after_s = made.retry_after_s;
        decision->reason = name_of(made.reason).data();  // of a literal
        decision->text = replay::explain(made.reason).data();
        return 1;
    } catch (const std::exception&) {
        return 0;
    }
}

int homeward_replay_to(const char* region, char* value, size_t value_bytes) {
    try {
        return write(replay::replay_to(text(region)), value, value_bytes);
    } catch (const std::exception&) {
        return 0;
    }
}

int homeward_database_url(char* url, size_t url_bytes, int* is_replica, char* why,
                          size_t why_bytes) {
    try {
        const replay::RegionalUrl found = replay::url_from_environment();
        if (found.error) {
            explain(found.error->what, why, why_bytes);
            return 0;
        }
        if (found.url.empty()) {
            explain("DATABASE_URL is not set", why, why_bytes);
            return 0;
        }
        if (is_replica != nullptr) *is_replica = found.is_replica ? 1 : 0;
        if (write(found.url, url, url_bytes) == 1) return 1;
        explain("the connection string is longer than the buffer", why, why_bytes);
    } catch (const std::exception& error) {
        explain(error.what(), why, why_bytes);
    }
    return 0;
}

homeward_tokens* homeward_tokens_new(const char* keys, char* why, size_t why_bytes) {
    try {
        const replay::ParsedKeys parsed = replay::keys_from_text(text(keys));
        if (parsed.error == replay::KeyError::none) return new homeward_tokens(parsed.keys);
        explain(replay::explain(parsed.error), why, why_bytes);
    } catch (const std::exception& error) {
        explain(error.what(), why, why_bytes);
    }
    return nullptr;
}

void homeward_tokens_free(homeward_tokens* tokens) {
    delete tokens;
}

const char* homeward_committed_sql() {
    return replay::kCommittedPositionSql;
}

int homeward_token_sign(const homeward_tokens* tokens, const char* const row[5], char* token,
                        size_t token_bytes) {
    if (tokens == nullptr || row == nullptr) return 0;
    try {
        const auto seen = replay::parse_committed(row_from<replay::CommittedRow>(row));
        return seen ? write(tokens->signer.sign(*seen, unix_now_s()), token, token_bytes) : 0;
    } catch (const std::exception&) {
        return 0;
    }
}

const char* homeward_replica_sql() {
    return replay::kReplicaPositionSql;
}

homeward_coverage homeward_token_coverage(const homeward_tokens* tokens, const char* token,
                                          const char* const row[4]) {
    if (tokens == nullptr) return HOMEWARD_NOT_ASKED;
    try {
        const replay::Token read = tokens->signer.read(text(token), unix_now_s());
        if (!read.is_genuine()) return HOMEWARD_NOT_ASKED;
        if (row == nullptr) return HOMEWARD_POSITION_UNKNOWN;
        const auto replica = replay::parse_replica(row_from<replay::ReplicaRow>(row));
        if (!replica) return HOMEWARD_POSITION_UNKNOWN;
        return static_cast<homeward_coverage>(coverage_of(read, *replica));
    } catch (const std::exception&) {
        return HOMEWARD_POSITION_UNKNOWN;
    }
}
