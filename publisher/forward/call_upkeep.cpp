#include "publisher/forward/call_upkeep.hpp"

#include <chrono>
#include <pqxx/pqxx>
#include <utility>

#include "publisher/forward/leader_url.hpp"
#include "publisher/platform/thread_body.hpp"

namespace homeward::forward {
namespace {

/// Partitions are made two days ahead.
constexpr std::chrono::minutes kInterval{30};
/// After a failure: the leader may be moving.
constexpr std::chrono::minutes kRetry{1};

}  // namespace

CallUpkeep::CallUpkeep(std::string database_url, std::function<void(std::string_view)> on_log)
    : database_url_(leader_url(std::move(database_url))), on_log_(std::move(on_log)) {
    thread_ = std::thread([this] { run(); });
}

CallUpkeep::~CallUpkeep() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    stopping_.notify_all();
    thread_.join();
}

void CallUpkeep::run() {
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
        lock.unlock();
        const bool is_done = run_contained("upkeep of forwarded calls", "it is tried again soon",
                                           on_log_, [this] { maintain(); });
        lock.lock();
        stopping_.wait_for(lock, is_done ? kInterval : kRetry, [this] { return is_stopping_; });
    }
}

void CallUpkeep::maintain() {
    pqxx::connection connection(database_url_);
    pqxx::nontransaction statement(connection);
    statement.exec("SELECT homeward.ensure_call_days()");
    while (!statement.exec("SELECT homeward.drop_expired_calls()")[0][0].is_null()) {
    }
}

}  // namespace homeward::forward
