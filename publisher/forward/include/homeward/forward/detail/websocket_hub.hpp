#pragma once

// What the connections of one WebSocketCalls share: limits, threads for calls, draining.

#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <homeward/forward/client.hpp>
#include <homeward/forward/websocket_message.hpp>
#include <homeward/forward/websocket_options.hpp>

namespace homeward::forward::detail {

class WebSocketSession;

/// Any thread.
class WebSocketHub {
  public:
    using Sessions = std::vector<std::shared_ptr<WebSocketSession>>;

    WebSocketHub(Client& primary, WebSocketOptions given)
        : options(checked(std::move(given))), threads(options.calls_max), primary_(primary) {}

    const WebSocketOptions options;
    boost::asio::thread_pool threads;

    /// A place for a connection; false: there is none.
    bool enter() {
        const std::lock_guard lock(mutex_);
        if (is_draining_ || connections_ == options.connections_max) return false;
        ++connections_;
        return true;
    }
    void add(const std::shared_ptr<WebSocketSession>& session) {
        const std::lock_guard lock(mutex_);
        sessions_.emplace(session.get(), session);
    }
    void leave(WebSocketSession* session) {
        const std::lock_guard lock(mutex_);
        sessions_.erase(session);
        --connections_;
        ended_.notify_all();
    }

    enum class Place : std::uint8_t { taken, busy, draining };
    /// A thread for a call, until end_call().
    Place take_call() {
        const std::lock_guard lock(mutex_);
        if (is_draining_) return Place::draining;
        if (calls_ == options.calls_max) return Place::busy;
        ++calls_;
        return Place::taken;
    }
    void end_call() {
        const std::lock_guard lock(mutex_);
        --calls_;
        ended_.notify_all();
    }

    /// No connection and no call begins after it.
    Sessions drain() {
        const std::lock_guard lock(mutex_);
        is_draining_ = true;
        return open_sessions();
    }
    /// Those that are left at the deadline.
    Sessions wait_for_sessions(std::chrono::milliseconds deadline) {
        std::unique_lock lock(mutex_);
        ended_.wait_for(lock, deadline, [this] { return connections_ == 0; });
        return open_sessions();
    }
    void wait_for_calls() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return calls_ == 0; });
        lock.unlock();
        threads.join();
    }

    bool is_draining() const {
        const std::lock_guard lock(mutex_);
        return is_draining_;
    }
    std::size_t connections() const {
        const std::lock_guard lock(mutex_);
        return connections_;
    }
    std::size_t calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

    /// Blocks as long as the call lasts. `caller`: as WebSocketOptions::admit returned it.
    Reply run(const WebSocketRequest& request, const std::string& caller) const try {
        const std::string key = caller.empty() ? request.key : caller + ":" + request.key;
        const auto deadline = std::min(request.deadline, options.deadline_max);
        switch (request.action) {
            case WebSocketRequest::Action::outcome:
                return primary_.outcome(key, deadline);
            case WebSocketRequest::Action::abandon:
                return primary_.abandon(key, deadline);
            case WebSocketRequest::Action::call:
                break;
        }
        return primary_.call(request.operation, request.body, {.key = key, .deadline = deadline});
    } catch (const std::exception& error) {  // no memory; a message may have left
        return {.outcome = Outcome::in_doubt, .body = error.what()};
    }

  private:
    static WebSocketOptions checked(WebSocketOptions options) {
        if (options.operations.empty()) throw SetupError("WebSocketOptions::operations is empty");
        for (const std::size_t limit : {options.connections_max, options.connection_calls_max,
                                        options.calls_max, options.message_bytes_max}) {
            if (limit == 0) throw SetupError("a limit of WebSocketOptions is 0");
        }
        return options;
    }

    Sessions open_sessions() const {
        Sessions open;
        for (const auto& [key, session] : sessions_) {
            if (auto shared = session.lock()) open.push_back(std::move(shared));
        }
        return open;
    }

    Client& primary_;
    mutable std::mutex mutex_;
    std::condition_variable ended_;
    std::map<WebSocketSession*, std::weak_ptr<WebSocketSession>> sessions_;
    std::size_t connections_ = 0;
    std::size_t calls_ = 0;
    bool is_draining_ = false;
};

}  // namespace homeward::forward::detail
