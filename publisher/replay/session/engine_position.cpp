#include <homeward/replay/engine_position.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "publisher/replay/session/gtid_set.hpp"

namespace homeward::replay {
namespace {

constexpr std::size_t kReplicationIdChars = 40;

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

Position position_of(Engine engine, std::string text) {
    Position position;
    position.engine = engine;
    position.text = std::move(text);
    return position;
}

ReplicaPosition replica_of(Engine engine, std::string text, bool is_standby) {
    return {position_of(engine, std::move(text)),
            is_standby ? ServerRole::standby : ServerRole::primary};
}

bool is_flag(std::string_view text) {
    return text == "0" || text == "1";
}

template <typename Gtids>
Reach reach_of_gtids(std::string_view replica, std::string_view seen) {
    const auto have = Gtids::parse(replica);
    const auto wanted = Gtids::parse(seen);
    if (!have || !wanted) return Reach::elsewhere;
    return have->contains(*wanted) ? Reach::reached : Reach::before;
}

/// "name:value" of INFO's lines; "" if there is none.
std::string_view info_value(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        const std::size_t end = std::min(info.find("\r\n"), info.size());
        const std::string_view line = info.substr(0, end);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':') {
            return line.substr(name.size() + 1);
        }
        info.remove_prefix(std::min(end + 2, info.size()));
    }
    return {};
}

/// "<replication id>:<offset>", of INFO's values.
std::optional<std::string> redis_text(std::string_view id, std::string_view offset) {
    const bool is_id = id.size() == kReplicationIdChars &&
                       id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!is_id || !parse_number(offset)) return std::nullopt;
    return std::string(id).append(":").append(offset);
}

struct RedisPoint {
    std::string_view id;
    std::uint64_t offset = 0;
};

std::optional<RedisPoint> redis_point(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto offset = parse_number(text.substr(colon + 1));
    if (!offset) return std::nullopt;
    return RedisPoint{text.substr(0, colon), *offset};
}

/// A promoted server has a new id, and remembers up to where its history is also that of the old
/// one: "<id>:<offset>,<old id>:<first offset that is not>".
Reach reach_of_redis(std::string_view replica, std::string_view seen) {
    const std::size_t comma = std::min(replica.find(','), replica.size());
    const auto wanted = redis_point(seen);
    const auto now = redis_point(replica.substr(0, comma));
    if (!wanted || !now) return Reach::elsewhere;
    if (wanted->id == now->id) {
        return now->offset >= wanted->offset ? Reach::reached : Reach::before;
    }
    const auto old = redis_point(replica.substr(std::min(comma + 1, replica.size())));
    const bool is_shared = old && old->id == wanted->id && wanted->offset < old->offset;
    if (!is_shared) return Reach::elsewhere;
    return now->offset >= wanted->offset ? Reach::reached : Reach::before;
}

/// "<seconds>-<increment>" as one number.
std::optional<std::uint64_t> mongodb_time(std::string_view text) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto seconds = parse_number(text.substr(0, dash));
    const auto increment = parse_number(text.substr(dash + 1));
    if (!seconds || !increment) return std::nullopt;
    return *seconds << 32 | *increment;
}

Reach reach_of_mongodb(std::string_view replica, std::string_view seen) {
    const auto have = mongodb_time(replica);
    const auto wanted = mongodb_time(seen);
    if (!have || !wanted) return Reach::elsewhere;
    return *have >= *wanted ? Reach::reached : Reach::before;
}

std::string wait_sql(const char* function, const Position& seen, std::uint32_t wait_max_ms) {
    char timeout[32];
    std::snprintf(timeout, sizeof timeout, "%u.%03u", static_cast<unsigned>(wait_max_ms / 1000),
                  static_cast<unsigned>(wait_max_ms % 1000));
    return std::string("SELECT ")
        .append(function)
        .append("('")
        .append(seen.text)
        .append("', ")
        .append(timeout)
        .append(")");
}

}  // namespace

std::optional<Position> parse_mariadb_committed(const GtidRow& row) {
    if (row[0] != "0") return std::nullopt;
    const std::string_view text = row[1].size() <= kPositionTextMax ? row[1] : row[2];
    const auto gtids = MariadbGtids::parse(text);
    if (!gtids || gtids->is_empty() || text.size() > kPositionTextMax) return std::nullopt;
    return position_of(Engine::mariadb, std::string(text));
}

std::optional<ReplicaPosition> parse_mariadb_replica(const GtidRow& row) {
    if (!is_flag(row[0])) return std::nullopt;
    const bool is_standby = row[0] == "1";
    const std::string_view text = is_standby ? row[1] : row[2];
    if (!MariadbGtids::parse(text)) return std::nullopt;
    return replica_of(Engine::mariadb, std::string(text), is_standby);
}

std::string mariadb_wait_sql(const Position& seen, std::uint32_t wait_max_ms) {
    if (seen.engine != Engine::mariadb || !MariadbGtids::parse(seen.text)) return "";
    return wait_sql("MASTER_GTID_WAIT", seen, wait_max_ms);
}

std::optional<Position> parse_mysql_committed(const GtidRow& row) {
    if (row[0] != "0") return std::nullopt;
    const auto gtids = MysqlGtids::parse(row[1]);
    if (!gtids) return std::nullopt;
    std::string text = gtids->part_of(std::string(row[2]));
    if (text.empty() || text.size() > kPositionTextMax) return std::nullopt;
    return position_of(Engine::mysql, std::move(text));
}

std::optional<ReplicaPosition> parse_mysql_replica(const GtidRow& row) {
    if (!is_flag(row[0]) || !MysqlGtids::parse(row[1])) return std::nullopt;
    return replica_of(Engine::mysql, std::string(row[1]), row[0] == "1");
}

std::string mysql_wait_sql(const Position& seen, std::uint32_t wait_max_ms) {
    if (seen.engine != Engine::mysql || !MysqlGtids::parse(seen.text)) return "";
    return wait_sql("WAIT_FOR_EXECUTED_GTID_SET", seen, wait_max_ms);
}

Position mongodb_position(std::uint32_t seconds, std::uint32_t increment) {
    return position_of(Engine::mongodb, std::to_string(seconds) + "-" + std::to_string(increment));
}

std::optional<Position> parse_redis_committed(std::string_view info) {
    if (info_value(info, "role") != "master") return std::nullopt;
    auto text =
        redis_text(info_value(info, "master_replid"), info_value(info, "master_repl_offset"));
    if (!text) return std::nullopt;
    return position_of(Engine::redis, std::move(*text));
}

std::optional<ReplicaPosition> parse_redis_replica(std::string_view info) {
    const std::string_view role = info_value(info, "role");
    if (role != "master" && role != "slave") return std::nullopt;
    const bool is_standby = role == "slave";
    auto text =
        redis_text(info_value(info, "master_replid"),
                   info_value(info, is_standby ? "slave_repl_offset" : "master_repl_offset"));
    if (!text) return std::nullopt;
    const auto old =
        redis_text(info_value(info, "master_replid2"), info_value(info, "second_repl_offset"));
    if (old) text->append(",").append(*old);
    return replica_of(Engine::redis, std::move(*text), is_standby);
}

Reach reach_of(const Position& replica, const Position& seen) {
    switch (seen.engine) {
        case Engine::mariadb:
            return reach_of_gtids<MariadbGtids>(replica.text, seen.text);
        case Engine::mysql:
            return reach_of_gtids<MysqlGtids>(replica.text, seen.text);
        case Engine::mongodb:
            return reach_of_mongodb(replica.text, seen.text);
        case Engine::redis:
            return reach_of_redis(replica.text, seen.text);
        case Engine::postgresql:
            break;
    }
    return Reach::elsewhere;
}

}  // namespace homeward::replay
