#include <homeward/app.hpp>

#include <stdexcept>
#include <utility>
#include <vector>

#include <homeward/prometheus.hpp>
#include <homeward/replay/libpq.hpp>

#include "publisher/platform/standard_descriptors.hpp"

namespace homeward {
namespace {

void log_to_stderr(std::string_view line) {
    write_on_stderr("", line);
}

PublisherOptions publisher_options(std::string_view name, AppOptions& options) {
    PublisherOptions publisher = options.publisher ? std::move(*options.publisher)
                                                   : publisher_options_from_environment(name);
    publisher.app = name;
    if (!publisher.on_log) publisher.on_log = options.on_log;
    return publisher;
}

/// What the thread's handler has begun, until it is known where its request is handled.
class Request {
  public:
    Request(Publisher& publisher, const RequestScopeOptions& limits)
        : scope_(publisher, limits), outer_(std::exchange(current, this)) {}
    /// Undecided: as RequestScope, it was handled here.
    ~Request() { complete(true); }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    void complete(bool is_answered) {
        if (std::exchange(is_complete_, true)) return;
        current = outer_;
        is_answered ? void(scope_.publish()) : scope_.drop();
        if (!is_answered) return;
        for (const auto& action : actions_) action();
    }
    void when_answered(std::function<void()> action) { actions_.push_back(std::move(action)); }

    static thread_local Request* current;

  private:
    RequestScope scope_;
    Request* outer_;
    std::vector<std::function<void()>> actions_;
    bool is_complete_ = false;
};
thread_local Request* Request::current = nullptr;

}  // namespace

App::App(std::string_view name, AppOptions options)
    : on_log_(options.on_log ? options.on_log : &log_to_stderr) {
    PublisherOptions publisher = publisher_options(name, options);
    const MeterOptions meter = options.meter;
    try {
        replay_.emplace(replay_options(std::move(options)));
    } catch (const std::invalid_argument& error) {
        throw SetupError(error.what());
    }
    // Last: when a variable is wrong, there is nothing to close.
    publisher_ = std::make_unique<Publisher>(std::move(publisher));
    try {
        meter_.emplace(*publisher_, meter);
    } catch (const std::invalid_argument& error) {
        throw SetupError(error.what());
    }
}

App::~App() = default;

void App::when_answered(std::function<void()> action) {
    if (Request::current == nullptr) return action();
    Request::current->when_answered(std::move(action));
}

replay::HelperOptions App::replay_options(AppOptions options) {
    replay::HelperOptions& parts = options.replay;
    if (!parts.position_source) parts.position_source = &replay::libpq_position_source;
    // A request's events wait in a scope until it is known where the request is handled.
    parts.request_handler.on_begin =
        [this, limits = options.scope,
         on_begin = std::move(parts.request_handler.on_begin)]() -> replay::Completion {
        auto request = std::make_shared<Request>(*publisher_, limits);
        replay::Completion complete = on_begin ? on_begin() : replay::Completion();
        return [request = std::move(request), complete = std::move(complete)](bool is_answered) {
            request->complete(is_answered);
            if (complete) complete(is_answered);
        };
    };
    parts.request_handler.on_decision =
        [this, on_replay = std::move(options.on_replay),
         on_decision = std::move(parts.request_handler.on_decision)](
            const replay::Decision& decision, std::string_view line) {
            on_log_(line);
            if (on_replay) on_replay(*this, decision);
            if (on_decision) on_decision(decision, line);
        };
    return std::move(parts);
}

std::string App::prometheus() const {
    return homeward::prometheus(publisher_->stats()) +
           replay_->request_handler().counters().prometheus();
}

}  // namespace homeward
