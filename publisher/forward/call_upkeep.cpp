#include "publisher/forward/call_upkeep.hpp"

#include <chrono>
#include <pqxx/pqxx>
#include <utility>

#include "publisher/platform/thread_body.hpp"

namespace homeward::forward {
namespace {

/// Partitions are made two days ahead.
constexpr std::chrono::minutes kInterval{30};
/// After a failure: the leader may be moving.
constexpr std::chrono::minutes kRetry{1};
/// Locks may keep it waiting, and then the leader is asked whether it answers at all.
constexpr std::chrono::seconds kLeaderAnswerMax{30};

}  // namespace

CallUpkeep::CallUpkeep(std::string database_url, LeaderWatch& watch,
                       std::function<void(std::string_view)> on_log)
    : database_url_(leader_url(std::move(database_url))),
      watch_(watch),
      on_log_(std::move(on_log)) {
    thread_ = std::thread([this] { run(); });
}

CallUpkeep::~CallUpkeep() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
        if (task_ != nullptr) task_->cut();
    }
    stopping_.notify_all();
    thread_.join();
}

/// Lets the destructor reach the task while it lives.
class CallUpkeep::Stoppable {
  public:
    Stoppable(CallUpkeep& upkeep, LeaderWatch::Task& task) : upkeep_(upkeep) {
        const std::lock_guard lock(upkeep.mutex_);
        upkeep.task_ = &task;
        if (upkeep.is_stopping_) task.cut();
    }
    ~Stoppable() {
        const std::lock_guard lock(upkeep_.mutex_);
        upkeep_.task_ = nullptr;
    }
    Stoppable(const Stoppable&) = delete;
    Stoppable& operator=(const Stoppable&) = delete;

  private:
    CallUpkeep& upkeep_;
};

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
    LeaderWatch::Task task(watch_, connection.sock(), LeaderWatch::Clock::now() + kLeaderAnswerMax);
    task.set_may_be_idle(true);
    const Stoppable stoppable(*this, task);
    pqxx::nontransaction statement(connection);
    statement.exec("SELECT homeward.ensure_call_days()");
    while (!statement.exec("SELECT homeward.drop_expired_calls()")[0][0].is_null()) {
    }
}

}  // namespace homeward::forward
