#pragma once

/// @file
/// The replay helper for hiredis, the C client of Redis and Valkey. Header only: only its users
/// need hiredis.

#include <hiredis/hiredis.h>

#include <sys/time.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <homeward/replay/engine_position.hpp>
#include <homeward/replay/helper.hpp>
#include <homeward/replay/position_source.hpp>
#include <homeward/replay/redis.hpp>
#include <homeward/replay/url_parts.hpp>

namespace homeward::replay {

namespace detail {

struct FreeRedisReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisReply = std::unique_ptr<redisReply, FreeRedisReply>;

inline std::string_view text_of(const redisReply& reply) {
    return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

struct CloseRedis {
    void operator()(redisContext* context) const { redisFree(context); }
};
using RedisConnection = std::unique_ptr<redisContext, CloseRedis>;

/// What INFO replication says; nothing on an error.
template <typename Parse>
auto parse_info(redisContext* context, Parse parse) -> decltype(parse(std::string_view())) {
    const RedisReply reply(static_cast<redisReply*>(redisCommand(context, "INFO replication")));
    if (!reply || reply->type != REDIS_REPLY_STRING) return std::nullopt;
    return parse(text_of(*reply));
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
    const auto position = detail::parse_info(context, parse_redis_replica);
    return position ? position->role : ServerRole::unknown;
}

/// Queries what the primary has done, for SessionConsistency::set_cookie(). Call it after a write.
/// It blocks for one round trip. The thread that uses the context.
/// @param context connected
/// @return nothing on an error, or on a replica
inline std::optional<Position> committed_position(redisContext* context) {
    return detail::parse_info(context, parse_redis_committed);
}

/// Queries the position of a primary or replica. It blocks for one round trip. The thread that uses
/// the context.
/// @param context connected
/// @return nothing on an error
inline std::optional<ReplicaPosition> replica_position(redisContext* context) {
    return detail::parse_info(context, parse_redis_replica);
}

/// Waits on the primary (WAIT) until replicas have the writes of this context. If all have them, no
/// session needs a token. The thread that uses the context.
/// @param context connected to the primary
/// @param replicas how many to wait for
/// @param wait_max upper bound in milliseconds; 0 waits for ever, as WAIT does
/// @return how many have them, which may be more or fewer; nothing on an error
inline std::optional<int> wait_for_replicas(redisContext* context, int replicas,
                                            std::chrono::milliseconds wait_max) {
    const detail::RedisReply reply(static_cast<redisReply*>(
        redisCommand(context, "WAIT %d %lld", replicas, static_cast<long long>(wait_max.count()))));
    if (!reply || reply->type != REDIS_REPLY_INTEGER) return std::nullopt;
    return static_cast<int>(reply->integer);
}

/// Call it after a write: nobody is told to send the request again, and the session reads its own
/// write. With keys it blocks for one round trip. The thread that uses the context.
/// @param helper signs the token
/// @param context connected to the primary
/// @param result of the handler that wrote
inline void note_commit(const Helper& helper, redisContext* context, HandlerResult& result) {
    result.has_committed = true;
    if (helper.reads() == nullptr) return;
    if (const auto seen = committed_position(context)) helper.remember(*seen, result);
}

/// Queries the replica over a connection of its own. One thread.
class HiredisPositionSource : public PositionSource {
  public:
    /// Makes a connection with a timeout of a second for it and each command; nullptr if the server
    /// does not answer.
    using Connect = std::function<redisContext*()>;

    /// @param connect called for each connection
    explicit HiredisPositionSource(Connect connect) : connect_(std::move(connect)) {}

    std::optional<ReplicaPosition> ask() override {
        const bool is_fresh = !connection_;
        if (is_fresh && !connect()) return std::nullopt;
        if (const auto position = replica_position(connection_.get())) return position;
        // A connection that died while it was idle gets a second chance, a silent server none.
        const bool is_closed = connection_->err == REDIS_ERR_EOF;
        connection_.reset();
        if (is_fresh || !is_closed || !connect()) return std::nullopt;
        const auto position = replica_position(connection_.get());
        if (!position) connection_.reset();
        return position;
    }

    Engine engine() const override { return Engine::redis; }
    int socket() const override { return connection_ ? connection_->fd : -1; }

  private:
    bool connect() {
        connection_.reset(connect_());
        return connection_ != nullptr;
    }

    const Connect connect_;
    detail::RedisConnection connection_;
};

/// Makes a HiredisPositionSource, for HelperOptions::position_source. Any thread.
/// @param url "redis://user:password@host:port/…" of the replica. Of rediss:// TLS is the
///     application's: make a HiredisPositionSource with a function of your own
/// @return not yet connected
/// @throws std::invalid_argument for another URL; what() repeats nothing of it
inline std::unique_ptr<PositionSource> hiredis_position_source(const std::string& url) {
    const auto parts = parts_of_url(url);
    if (!parts || parts->engine != Engine::redis || parts->is_tls) {
        throw std::invalid_argument(
            "the replica's URL is not of the form \"redis://user:password@host:port\"");
    }
    const auto connect = [parts = *parts]() -> redisContext* {
        const timeval timeout{1, 0};
        detail::RedisConnection connection(
            redisConnectWithTimeout(parts.host.c_str(), static_cast<int>(parts.port), timeout));
        if (!connection || connection->err != 0) return nullptr;
        redisSetTimeout(connection.get(), timeout);
        if (parts.password.empty()) return connection.release();
        const detail::RedisReply reply(static_cast<redisReply*>(
            parts.user.empty() ? redisCommand(connection.get(), "AUTH %s", parts.password.c_str())
                               : redisCommand(connection.get(), "AUTH %s %s", parts.user.c_str(),
                                              parts.password.c_str())));
        return reply && reply->type == REDIS_REPLY_STATUS ? connection.release() : nullptr;
    };
    return std::make_unique<HiredisPositionSource>(connect);
}

}  // namespace homeward::replay
