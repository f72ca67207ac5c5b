#include "tests/support/servers/redis_server.hpp"

#include <hiredis/hiredis.h>

#include <fstream>
#include <stdexcept>

namespace homeward::testing {
namespace {

using namespace std::chrono_literals;

struct Free {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

std::string text_of(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
    const std::string text = reply.str == nullptr ? "" : std::string(reply.str, reply.len);
    return reply.type == REDIS_REPLY_ERROR ? "-" + text : text;
}

}  // namespace

RedisServer::RedisServer(const std::vector<std::string>& settings) : port_(free_port()) {
    std::ofstream conf(dir_ / "redis.conf");
    conf << "bind 127.0.0.1\nport " << port_ << "\ndir " << dir_.path().string()
         << "\nsave \"\"\nrepl-diskless-sync-delay 0\n";
    for (const std::string& line : settings) conf << line << "\n";
    conf.close();
    start();
}

std::unique_ptr<RedisServer> RedisServer::replica_of(const RedisServer& primary,
                                                     const std::vector<std::string>& settings) {
    std::vector<std::string> all = settings;
    all.push_back("replicaof 127.0.0.1 " + std::to_string(primary.port()));
    auto replica = std::make_unique<RedisServer>(all);
    const bool is_linked = wait_until(60s, [&] {
        const std::string info = replica->ask({"INFO", "replication"});
        return info.find("master_link_status:up") != std::string::npos;
    });
    if (!is_linked) throw std::runtime_error("the Redis replica got no link:\n" + replica->log());
    return replica;
}

RedisServer::~RedisServer() {
    if (!process_.is_running()) return;
    thaw();
    process_.stop(10s);
}

void RedisServer::start() {
    ProcessOptions options;
    options.log = dir_ / "log";
    process_ = Process({"redis-server", dir_ / "redis.conf"}, options);
    const bool up = wait_until(60s, [this] {
        try {
            return !ask({"PING"}).empty();
        } catch (const std::runtime_error&) {
            return !process_.is_running();
        }
    });
    if (!up || !process_.is_running()) throw std::runtime_error("Redis did not start:\n" + log());
}

void RedisServer::kill() {
    process_.kill();
}

std::string RedisServer::ask(const std::vector<std::string>& words) const {
    const std::unique_ptr<redisContext, Free> context(redisConnect("127.0.0.1", port_));
    if (!context || context->err != 0) throw std::runtime_error("Redis is not there");
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    const std::unique_ptr<redisReply, Free> reply(static_cast<redisReply*>(redisCommandArgv(
        context.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
    if (!reply) throw std::runtime_error(context->errstr);
    return text_of(*reply);
}

}  // namespace homeward::testing
