// homeward_replay.h: session tokens of every engine. No exception leaves it.

#include <homeward_replay.h>

#include <charconv>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/position.hpp>
#include <homeward/replay/token.hpp>

#include "publisher/bindings/c/c_abi_tokens.hpp"

namespace replay = homeward::replay;

using homeward::row_from;
using homeward::text;
using homeward::unix_now_s;
using replay::Engine;

namespace {

constexpr bool is_same(Engine engine, homeward_engine code) {
    return static_cast<int>(engine) == static_cast<int>(code);
}
static_assert(is_same(Engine::postgresql, HOMEWARD_POSTGRESQL) &&
              is_same(Engine::mysql, HOMEWARD_MYSQL) &&
              is_same(Engine::mariadb, HOMEWARD_MARIADB) &&
              is_same(Engine::mongodb, HOMEWARD_MONGODB) && is_same(Engine::redis, HOMEWARD_REDIS));

constexpr const char* kRedisQuery = "INFO replication";

std::optional<std::uint32_t> number(std::string_view digits) {
    std::uint32_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc() || at != end) return std::nullopt;
    return value;
}

std::optional<replay::Position> mongodb_row(const char* const* row) {
    const auto seconds = number(text(row[0]));
    const auto increment = number(text(row[1]));
    if (!seconds || !increment) return std::nullopt;
    return replay::mongodb_position(*seconds, *increment);
}

std::optional<replay::Position> committed(homeward_engine engine, const char* const* row) {
    switch (engine) {
        case HOMEWARD_POSTGRESQL:
            return replay::parse_committed(row_from<replay::CommittedRow>(row));
        case HOMEWARD_MYSQL:
            return replay::parse_mysql_committed(row_from<replay::GtidRow>(row));
        case HOMEWARD_MARIADB:
            return replay::parse_mariadb_committed(row_from<replay::GtidRow>(row));
        case HOMEWARD_MONGODB:
            return mongodb_row(row);
        case HOMEWARD_REDIS:
            return replay::parse_redis_committed(text(row[0]));
    }
    return std::nullopt;
}

std::optional<replay::ReplicaPosition> replica(homeward_engine engine, const char* const* row) {
    switch (engine) {
        case HOMEWARD_POSTGRESQL:
            return replay::parse_replica(row_from<replay::ReplicaRow>(row));
        case HOMEWARD_MYSQL:
            return replay::parse_mysql_replica(row_from<replay::GtidRow>(row));
        case HOMEWARD_MARIADB:
            return replay::parse_mariadb_replica(row_from<replay::GtidRow>(row));
        case HOMEWARD_MONGODB:
            if (const auto at = mongodb_row(row)) return replay::ReplicaPosition{*at};
            return std::nullopt;
        case HOMEWARD_REDIS:
            return replay::parse_redis_replica(text(row[0]));
    }
    return std::nullopt;
}

}  // namespace

const char* homeward_engine_committed_query(homeward_engine engine) {
    switch (engine) {
        case HOMEWARD_POSTGRESQL:
            return replay::kCommittedPositionSql;
        case HOMEWARD_MYSQL:
            return replay::kMysqlCommittedSql;
        case HOMEWARD_MARIADB:
            return replay::kMariadbCommittedSql;
        case HOMEWARD_REDIS:
            return kRedisQuery;
        case HOMEWARD_MONGODB:
            break;
    }
    return "";
}

const char* homeward_engine_replica_query(homeward_engine engine) {
    switch (engine) {
        case HOMEWARD_POSTGRESQL:
            return replay::kReplicaPositionSql;
        case HOMEWARD_MYSQL:
            return replay::kMysqlReplicaSql;
        case HOMEWARD_MARIADB:
            return replay::kMariadbReplicaSql;
        case HOMEWARD_REDIS:
            return kRedisQuery;
        case HOMEWARD_MONGODB:
            break;
    }
    return "";
}

int homeward_engine_token_sign(const homeward_tokens* tokens, homeward_engine engine,
                               const char* const row[5], char* token, size_t token_bytes) {
    if (tokens == nullptr || row == nullptr) return 0;
    try {
        const auto seen = committed(engine, row);
        if (!seen) return 0;
        return homeward::write(tokens->signer.sign(*seen, unix_now_s()), token, token_bytes);
    } catch (const std::exception&) {
        return 0;
    }
}

homeward_coverage homeward_engine_token_coverage(const homeward_tokens* tokens,
                                                 homeward_engine engine, const char* token,
                                                 const char* const row[5]) {
    if (tokens == nullptr) return HOMEWARD_NOT_ASKED;
    try {
        const replay::Token read = tokens->signer.read(text(token), unix_now_s());
        if (!read.is_genuine() || !is_same(read.seen.engine, engine)) return HOMEWARD_NOT_ASKED;
        const auto found = row == nullptr ? std::nullopt : replica(engine, row);
        if (!found) return HOMEWARD_POSITION_UNKNOWN;
        return static_cast<homeward_coverage>(coverage_of(read, *found));
    } catch (const std::exception&) {
        return HOMEWARD_POSITION_UNKNOWN;
    }
}

homeward_server_role homeward_engine_role(homeward_engine engine, const char* const row[5]) {
    try {
        const auto found = row == nullptr ? std::nullopt : replica(engine, row);
        return found ? static_cast<homeward_server_role>(found->role) : HOMEWARD_ROLE_UNKNOWN;
    } catch (const std::exception&) {
        return HOMEWARD_ROLE_UNKNOWN;
    }
}

int homeward_engine_wait_query(const homeward_tokens* tokens, const char* token,
                               uint32_t wait_max_ms, char* query, size_t query_bytes) {
    if (tokens == nullptr) return 0;
    try {
        const replay::Token read = tokens->signer.read(text(token), unix_now_s());
        if (!read.is_genuine()) return 0;
        const std::string sql = read.seen.engine == Engine::mysql
                                    ? replay::mysql_wait_sql(read.seen, wait_max_ms)
                                    : replay::mariadb_wait_sql(read.seen, wait_max_ms);
        return homeward::write(sql, query, query_bytes);
    } catch (const std::exception&) {
        return 0;
    }
}
