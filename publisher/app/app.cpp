#include <homeward/app.hpp>

#include <cstdio>
#include <stdexcept>
#include <utility>

#include <homeward/prometheus.hpp>
#include <homeward/replay/libpq.hpp>

namespace homeward {
namespace {

void log_to_stderr(std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

PublisherOptions publisher_options(std::string_view name, AppOptions& options) {
    PublisherOptions publisher = options.publisher ? std::move(*options.publisher)
                                                   : publisher_options_from_environment(name);
    publisher.app = name;
    if (!publisher.on_log) publisher.on_log = options.on_log;
    return publisher;
}

}  // namespace

App::App(std::string_view name, AppOptions options)
    : on_log_(options.on_log ? options.on_log : &log_to_stderr) {
    PublisherOptions publisher = publisher_options(name, options);
    try {
        replay_.emplace(replay_options(std::move(options)));
    } catch (const std::invalid_argument& error) {
        throw SetupError(error.what());
    }
    // Last: when a variable is wrong, there is nothing to close.
    publisher_ = std::make_unique<Publisher>(std::move(publisher));
}

App::~App() = default;

replay::HelperOptions App::replay_options(AppOptions options) {
    replay::HelperOptions& parts = options.replay;
    if (!parts.position_source) parts.position_source = &replay::libpq_position_source;
    // A request's events wait in a scope until it is known where the request is handled.
    parts.request_handler.on_begin =
        [this, limits = options.scope,
         on_begin = std::move(parts.request_handler.on_begin)]() -> replay::Completion {
        auto scope = std::make_shared<RequestScope>(*publisher_, limits);
        replay::Completion complete = on_begin ? on_begin() : replay::Completion();
        return [scope = std::move(scope), complete = std::move(complete)](bool is_answered) {
            is_answered ? void(scope->publish()) : scope->drop();
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
