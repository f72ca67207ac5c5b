#pragma once

/// @file
/// The replay helper for hiredis, the C client of Redis and Valkey. Header only: only its users
/// need hiredis.

#include <hiredis/hiredis.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include <homeward/replay/decide.hpp>
#include <homeward/replay/redis.hpp>

namespace homeward::replay {

namespace detail {

struct FreeRedisReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisReply = std::unique_ptr<redisReply, FreeRedisReply>;

inline std::string_view text_of(const redisReply& reply) {
    return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

/// "name:value" of INFO's lines; "" if there is none.
inline std::string_view info_value(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        const std::size_t end = std::min(info.find("\r\n"), info.size());
        const std::string_view line = info.substr(0, end);
        if (line.size() > name.size() && line.substr(0, name.size()) == name &&
            line[name.size()] == ':') {
            return line.substr(name.size() + 1);
        }
        info.remove_prefix(std::min(end + 2, info.size()));
    }
    return {};
}

}  // namespace detail

/// What a reply means, for HandlerResult::cause and Situation::cause. The thread that uses the
/// context.
/// @param context of redisConnect()
/// @param reply of redisCommand(); nullptr if the connection was lost
/// @return Cause::none if it is no error; Cause::outcome_unknown if the connection was lost after
///     the command was sent
inline Cause cause_of(const redisContext* context, const redisReply* reply) {
    if (reply != nullptr) {
        return reply->type == REDIS_REPLY_ERROR ? cause_of_redis(detail::text_of(*reply))
                                                : Cause::none;
    }
    if (context == nullptr || (context->flags & REDIS_CONNECTED) == 0) return Cause::connection;
    return context->err == 0 ? Cause::none : Cause::outcome_unknown;
}

/// Queries the role of the server, for HandlerResult::server_role. It blocks for one round trip.
/// The thread that uses the context.
/// @param context connected
/// @return unknown on an error
inline ServerRole server_role(redisContext* context) {
    const detail::RedisReply reply(
        static_cast<redisReply*>(redisCommand(context, "INFO replication")));
    if (!reply || reply->type != REDIS_REPLY_STRING) return ServerRole::unknown;
    const std::string_view role = detail::info_value(detail::text_of(*reply), "role");
    if (role == "master") return ServerRole::primary;
    return role == "slave" ? ServerRole::standby : ServerRole::unknown;
}

}  // namespace homeward::replay
